-- A GeoPackage: features with a spatial index, which triggers keep.  They call
-- functions that SQLite does not have, so the rows come first.
PRAGMA application_id = 1196444487;
PRAGMA user_version = 10300;
CREATE TABLE gpkg_spatial_ref_sys(srs_name TEXT NOT NULL, srs_id INTEGER NOT NULL PRIMARY KEY,
  organization TEXT NOT NULL, organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT);
INSERT INTO gpkg_spatial_ref_sys VALUES ('WGS 84', 4326, 'EPSG', 4326, 'GEOGCS["WGS 84"]', NULL),
  ('Undefined cartesian', -1, 'NONE', -1, 'undefined', 'no system');
CREATE TABLE gpkg_contents(table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT UNIQUE,
  description TEXT DEFAULT '', last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE, srs_id INTEGER REFERENCES gpkg_spatial_ref_sys(srs_id));
INSERT INTO gpkg_contents VALUES ('wells', 'features', 'wells', '', '2024-02-29T12:34:56.789Z', 1.5, 2.5, 9, 8.25, 4326);
CREATE TABLE gpkg_geometry_columns(table_name TEXT NOT NULL REFERENCES gpkg_contents(table_name), column_name TEXT NOT NULL,
  geometry_type_name TEXT NOT NULL, srs_id INTEGER NOT NULL, z TINYINT NOT NULL, m TINYINT NOT NULL,
  CONSTRAINT pk_geom_cols PRIMARY KEY (table_name, column_name));
INSERT INTO gpkg_geometry_columns VALUES ('wells', 'geom', 'POINT', 4326, 0, 0);
CREATE TABLE gpkg_extensions(table_name TEXT, column_name TEXT, extension_name TEXT NOT NULL, definition TEXT NOT NULL,
  scope TEXT NOT NULL, UNIQUE (table_name, column_name, extension_name));
INSERT INTO gpkg_extensions VALUES ('wells', 'geom', 'gpkg_rtree_index', 'http://www.geopackage.org/spec120/#extension_rtree', 'write-only');
CREATE TABLE wells(fid INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, geom POINT, name TEXT(80), depth DOUBLE,
  dry BOOLEAN, drilled DATE, seen DATETIME, photo BLOB, yield MEDIUMINT, price FLOAT);
INSERT INTO wells(geom, name, depth, dry, drilled, seen, photo, yield, price) VALUES
  (x'4750000100000000' || x'0101000000000000000000F83F0000000000000440', 'north', 12.5, 0, '1999-12-31', '2024-02-29T12:34:56.789Z', x'ffd8', 100, 1.25),
  (x'4750000100000000' || x'010100000000000000000022400000000000802040', 'süd', 7, 1, '2001-01-01', '2024-03-01T00:00:00.000Z', NULL, -5, 0.5),
  (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
UPDATE wells SET geom = CAST(geom AS BLOB) WHERE geom IS NOT NULL;
CREATE VIRTUAL TABLE rtree_wells_geom USING rtree(id, minx, maxx, miny, maxy);
INSERT INTO rtree_wells_geom VALUES (1, 1.5, 1.5, 2.5, 2.5), (2, 9, 9, 8.25, 8.25);
CREATE TRIGGER rtree_wells_geom_insert AFTER INSERT ON wells WHEN (NEW.geom NOT NULL AND NOT ST_IsEmpty(NEW.geom)) BEGIN
  INSERT OR REPLACE INTO rtree_wells_geom VALUES (NEW.fid, ST_MinX(NEW.geom), ST_MaxX(NEW.geom), ST_MinY(NEW.geom), ST_MaxY(NEW.geom));
END;
CREATE TRIGGER rtree_wells_geom_update AFTER UPDATE OF geom ON wells WHEN OLD.fid = NEW.fid AND (NEW.geom NOTNULL AND NOT ST_IsEmpty(NEW.geom)) BEGIN
  INSERT OR REPLACE INTO rtree_wells_geom VALUES (NEW.fid, ST_MinX(NEW.geom), ST_MaxX(NEW.geom), ST_MinY(NEW.geom), ST_MaxY(NEW.geom));
END;
CREATE TRIGGER rtree_wells_geom_delete AFTER DELETE ON wells WHEN OLD.geom NOT NULL BEGIN
  DELETE FROM rtree_wells_geom WHERE id = OLD.fid;
END;
