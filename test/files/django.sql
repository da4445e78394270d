-- A Django site.
CREATE TABLE "django_migrations" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "app" varchar(255) NOT NULL, "name" varchar(255) NOT NULL, "applied" datetime NOT NULL);
INSERT INTO django_migrations(app, name, applied) VALUES ('shop', '0001_initial', '2024-02-29 12:34:56.123456'), ('shop', '0002_more', '2024-02-29 12:34:57');
CREATE TABLE "auth_user" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "password" varchar(128) NOT NULL, "last_login" datetime NULL, "is_superuser" bool NOT NULL,
  "username" varchar(150) NOT NULL UNIQUE, "email" varchar(254) NOT NULL, "is_active" bool NOT NULL, "date_joined" datetime NOT NULL);
INSERT INTO auth_user(password, last_login, is_superuser, username, email, is_active, date_joined) VALUES
  ('pbkdf2_sha256$1$a$b', '2024-02-29 12:34:56.123456', 1, 'root', 'root@example.org', 1, '2023-12-31 23:59:59.999999'),
  ('!', NULL, 0, 'Ann', 'ann@example.org', 0, '2024-01-01 00:00:00');
CREATE TABLE "shop_order" ("id" char(32) NOT NULL PRIMARY KEY, "customer_id" integer NOT NULL REFERENCES "auth_user" ("id") DEFERRABLE INITIALLY DEFERRED,
  "total" decimal NOT NULL, "pieces" integer unsigned NOT NULL CHECK ("pieces" >= 0), "extra" text NOT NULL CHECK ((JSON_VALID("extra") OR "extra" IS NULL)),
  "address" char(39) NULL, "took" bigint NULL, "due" date NULL, "opens" time NULL, "weight" real NULL, "slug" varchar(50) NOT NULL, "receipt" BLOB NULL);
INSERT INTO shop_order VALUES
  ('a0eebc999c0b4ef8bb6d6bb9bd380a11', 1, '19.90', 3, '{"gift": true}', '192.0.2.1', 3600000000, '2024-03-01', '08:30:00', 1.5, 'first', x'2550'),
  ('a0eebc999c0b4ef8bb6d6bb9bd380a12', 2, '5', 0, '[]', NULL, NULL, NULL, '08:30:00.500000', 2, 'second', NULL),
  ('a0eebc999c0b4ef8bb6d6bb9bd380a13', 2, '0.01', 70000, 'null', '2001:db8::1', -1, '1999-01-31', NULL, NULL, 'dritte-ö', x'');
CREATE INDEX "shop_order_customer" ON "shop_order" ("customer_id");
CREATE INDEX "shop_order_slug" ON "shop_order" ("slug");
CREATE TABLE "django_session" ("session_key" varchar(40) NOT NULL PRIMARY KEY, "session_data" text NOT NULL, "expire_date" datetime NOT NULL);
INSERT INTO django_session VALUES ('abc', 'e30:1', '2024-03-14 00:00:00.000001');
CREATE INDEX "django_session_expire" ON "django_session" ("expire_date");
CREATE TABLE "shop_tag" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "path" text NOT NULL, "label" text GENERATED ALWAYS AS (JSON_EXTRACT("path", '$.name')) STORED);
INSERT INTO shop_tag(path) VALUES ('{"name": "red"}'), ('{"name": "blue"}');
CREATE UNIQUE INDEX "shop_tag_name" ON "shop_tag" ((JSON_EXTRACT("path", '$.name')));
