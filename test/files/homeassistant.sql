-- A home's sensors: seconds since 1970 with a fraction, beside columns of an earlier time that are empty now.
CREATE TABLE state_attributes(attributes_id INTEGER NOT NULL, hash BIGINT, shared_attrs TEXT, PRIMARY KEY (attributes_id));
INSERT INTO state_attributes VALUES (1, 3217487421, '{"unit":"°C"}'), (2, 12, '{}');
CREATE TABLE states_meta(metadata_id INTEGER NOT NULL, entity_id VARCHAR(255), PRIMARY KEY (metadata_id));
INSERT INTO states_meta VALUES (1, 'sensor.kitchen'), (2, 'light.hall');
CREATE UNIQUE INDEX ix_states_meta_entity_id ON states_meta (entity_id);
CREATE TABLE states(state_id INTEGER NOT NULL, entity_id CHAR(0), state VARCHAR(255), attributes CHAR(0), event_id SMALLINT, last_changed CHAR(0), last_changed_ts FLOAT, last_updated CHAR(0), last_updated_ts FLOAT, old_state_id INTEGER,
  attributes_id INTEGER, context_id CHAR(0), origin_idx SMALLINT, context_id_bin BLOB, metadata_id INTEGER, PRIMARY KEY (state_id), FOREIGN KEY (old_state_id) REFERENCES states (state_id), FOREIGN KEY (attributes_id) REFERENCES state_attributes (attributes_id));
INSERT INTO states VALUES (1, NULL, '21.5', NULL, NULL, NULL, NULL, NULL, 1709210096.78912, NULL, 1, NULL, 0, x'018df4c0a0eebc999c0b4ef8bb6d6bb9', 1), (2, NULL, 'on', NULL, NULL, NULL, 1709210000.0, NULL, 1709210097.5, 1, 2, NULL, 0, NULL, 2), (3, NULL, 'unavailable', NULL, NULL, NULL, NULL, NULL, 1709210098.25, 2, 1, NULL, 1, NULL, 1);
CREATE INDEX ix_states_metadata_id_last_updated_ts ON states (metadata_id, last_updated_ts);
CREATE TABLE recorder_runs(run_id INTEGER NOT NULL, start DATETIME NOT NULL, "end" DATETIME, closed_incorrect BOOLEAN NOT NULL, created DATETIME NOT NULL, PRIMARY KEY (run_id));
INSERT INTO recorder_runs VALUES (1, '2024-02-29 12:34:56.789120', '2024-03-01 00:00:00.000000', 0, '2024-02-29 12:34:56.800000'), (2, '2024-03-01 00:00:01.000000', NULL, 1, '2024-03-01 00:00:01.000001');
CREATE TABLE statistics(id INTEGER NOT NULL, created CHAR(0), created_ts FLOAT, metadata_id INTEGER, start CHAR(0), start_ts FLOAT, mean FLOAT, min FLOAT, max FLOAT, state FLOAT, sum FLOAT, PRIMARY KEY (id));
INSERT INTO statistics VALUES (1, NULL, 1709211610.2, 1, NULL, 1709208000.0, 21.25, 20.5, 22, NULL, NULL), (2, NULL, 1709215210.3, 1, NULL, 1709211600.0, NULL, NULL, NULL, 5.5, 1e300);
CREATE UNIQUE INDEX ix_statistics_start ON statistics (metadata_id, start_ts);
CREATE TABLE schema_changes(change_id INTEGER NOT NULL, schema_version INTEGER, changed DATETIME NOT NULL, PRIMARY KEY (change_id));
INSERT INTO schema_changes VALUES (1, 43, '2024-02-29 12:34:56.000123');
