-- A Rails application, begun when booleans were still written 't' and 'f'.
CREATE TABLE "schema_migrations" ("version" varchar NOT NULL PRIMARY KEY);
INSERT INTO schema_migrations VALUES ('20240229123456'), ('20240301000000');
CREATE TABLE "ar_internal_metadata" ("key" varchar NOT NULL PRIMARY KEY, "value" varchar, "created_at" datetime(6) NOT NULL, "updated_at" datetime(6) NOT NULL);
INSERT INTO ar_internal_metadata VALUES ('environment', 'production', '2024-02-29 12:34:56.123456', '2024-02-29 12:34:56.100000');
CREATE TABLE "rooms" ("id" integer PRIMARY KEY AUTOINCREMENT NOT NULL, "name" varchar DEFAULT 'room' NOT NULL, "open" boolean DEFAULT 't', "quiet" boolean DEFAULT 1 NOT NULL,
  "price" decimal(8,2) DEFAULT '0.0', "opens_at" time, "closes_at" time(6), "built_on" date, "settings" json DEFAULT '{}', "area" float, "floors" integer(8), "notes" text,
  "plan" blob, "created_at" datetime(6) NOT NULL, "updated_at" datetime NOT NULL);
INSERT INTO rooms(name, open, quiet, price, opens_at, closes_at, built_on, settings, area, floors, notes, plan, created_at, updated_at) VALUES
  ('red', 't', 1, 12.5, '2000-01-01 07:01:00', '2000-01-01 21:30:00.000000', '1999-12-31', '{"a":1}', 20.5, 2, 'note', x'00ff', '2024-02-29 12:34:56.123456', '2024-02-29 12:34:56.100000'),
  ('blau', 'f', 0, 7, '2000-01-01 00:00:00', NULL, NULL, NULL, 3.0, NULL, NULL, NULL, '2024-02-29 12:34:56.000000', '2024-02-29 12:34:56'),
  ('grün', 't', 0, 0.0, NULL, '2000-01-01 23:59:59.500000', '2024-02-29', '[1,2]', NULL, -1, '', x'', '1999-12-31 23:59:59.999999', '2000-01-01 00:00:00');
CREATE INDEX "index_rooms_on_created_at" ON "rooms" ("created_at");
CREATE UNIQUE INDEX "index_rooms_on_name" ON "rooms" ("name");
CREATE TABLE "bookings" ("id" integer PRIMARY KEY AUTOINCREMENT NOT NULL, "room_id" integer NOT NULL, "token" varchar(24) COLLATE NOCASE, "day" date NOT NULL, "created_at" datetime(6) NOT NULL,
  CONSTRAINT "fk_rails_1" FOREIGN KEY ("room_id") REFERENCES "rooms" ("id"));
INSERT INTO bookings(room_id, token, day, created_at) VALUES (1, 'Abc', '2024-03-01', '2024-02-29 12:34:56.100000'), (1, 'ABC', '2024-03-02', '2024-02-29 12:34:56.120000'), (3, 'xyz', '2024-03-01', '2024-02-29 00:00:00.000000');
CREATE INDEX "index_bookings_on_room_id_and_day" ON "bookings" ("room_id", "day");
