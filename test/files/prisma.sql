-- Prisma: times are milliseconds since 1970 in columns declared DATETIME.
CREATE TABLE "_prisma_migrations" ("id" TEXT PRIMARY KEY NOT NULL, "checksum" TEXT NOT NULL, "finished_at" DATETIME, "migration_name" TEXT NOT NULL, "logs" TEXT, "rolled_back_at" DATETIME,
  "started_at" DATETIME NOT NULL DEFAULT current_timestamp, "applied_steps_count" INTEGER UNSIGNED NOT NULL DEFAULT 0);
INSERT INTO _prisma_migrations VALUES ('0b1f', 'abcdef', 1709210096789, '20240229_init', NULL, NULL, 1709210096000, 1), ('0b20', 'fedcba', NULL, '20240301_more', 'failed', 1709210099000, 1709210098123, 0);
CREATE TABLE "User" ("id" TEXT NOT NULL PRIMARY KEY, "email" TEXT NOT NULL, "role" TEXT NOT NULL DEFAULT 'USER', "active" BOOLEAN NOT NULL DEFAULT true, "score" DECIMAL NOT NULL, "views" BIGINT NOT NULL DEFAULT 0,
  "avatar" BLOB, "meta" JSONB, "rating" REAL, "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, "updatedAt" DATETIME NOT NULL);
INSERT INTO "User" VALUES ('clt1', 'a@example.org', 'ADMIN', 1, 10.5, 9007199254740993, x'89504e47', '{"a":1}', 4.5, 1709210096789, 1709210096789),
  ('clt2', 'b@example.org', 'USER', 0, 3, 0, NULL, NULL, NULL, 1709164800000, 1709164800001), ('clt3', 'ç@example.org', 'USER', 1, 0.1, -1, x'', '[]', 5, 1704067200000, 1704067200000);
CREATE UNIQUE INDEX "User_email_key" ON "User"("email");
CREATE INDEX "User_createdAt_idx" ON "User"("createdAt");
CREATE TABLE "Post" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "title" TEXT NOT NULL, "publishedAt" DATETIME, "authorId" TEXT NOT NULL,
  CONSTRAINT "Post_authorId_fkey" FOREIGN KEY ("authorId") REFERENCES "User" ("id") ON DELETE RESTRICT ON UPDATE CASCADE);
INSERT INTO "Post"("title", "publishedAt", "authorId") VALUES ('one', 1709210096789, 'clt1'), ('two', NULL, 'clt1'), ('three', 1709164800000, 'clt2');
CREATE TABLE "_PostToTag" ("A" INTEGER NOT NULL, "B" TEXT NOT NULL);
INSERT INTO "_PostToTag" VALUES (1, 'x'), (2, 'x'), (1, 'y');
CREATE UNIQUE INDEX "_PostToTag_AB_unique" ON "_PostToTag"("A", "B");
