-- Accounts: amounts are fractions, times are text of a stated length.
CREATE TABLE gnclock(Hostname varchar(255), PID int);
CREATE TABLE versions(table_name text(50) PRIMARY KEY NOT NULL, table_version integer NOT NULL);
INSERT INTO versions VALUES ('Gnucash', 4000000), ('splits', 5);
CREATE TABLE commodities(guid text(32) PRIMARY KEY NOT NULL, namespace text(2048) NOT NULL, mnemonic text(2048) NOT NULL, fullname text(2048), fraction integer NOT NULL, quote_flag integer NOT NULL);
INSERT INTO commodities VALUES ('00000000000000000000000000000001', 'CURRENCY', 'EUR', 'Euro', 100, 1), ('00000000000000000000000000000002', 'CURRENCY', 'JPY', NULL, 1, 0);
CREATE TABLE accounts(guid text(32) PRIMARY KEY NOT NULL, name text(2048) NOT NULL, account_type text(2048) NOT NULL, commodity_guid text(32), commodity_scu integer NOT NULL, parent_guid text(32), code text(2048), hidden integer, placeholder integer);
INSERT INTO accounts VALUES ('0000000000000000000000000000000a', 'Bank', 'BANK', '00000000000000000000000000000001', 100, NULL, '0042', 0, 0), ('0000000000000000000000000000000b', 'Essen', 'EXPENSE', '00000000000000000000000000000001', 100, '0000000000000000000000000000000a', '', 0, 1);
CREATE TABLE transactions(guid text(32) PRIMARY KEY NOT NULL, currency_guid text(32) NOT NULL, num text(2048) NOT NULL, post_date text(19), enter_date text(19), description text(2048));
INSERT INTO transactions VALUES ('0000000000000000000000000000000c', '00000000000000000000000000000001', '007', '2024-02-29 10:59:00', '2024-02-29 12:34:56', 'bread'), ('0000000000000000000000000000000d', '00000000000000000000000000000001', '', '1970-01-01 00:00:00', NULL, NULL);
CREATE INDEX tx_post_date_index ON transactions (post_date);
CREATE TABLE splits(guid text(32) PRIMARY KEY NOT NULL, tx_guid text(32) NOT NULL, account_guid text(32) NOT NULL, memo text(2048) NOT NULL, reconcile_state text(1) NOT NULL, reconcile_date text(19), value_num bigint NOT NULL, value_denom bigint NOT NULL);
INSERT INTO splits VALUES ('0000000000000000000000000000000e', '0000000000000000000000000000000c', '0000000000000000000000000000000a', '', 'n', NULL, -250, 100), ('0000000000000000000000000000000f', '0000000000000000000000000000000c', '0000000000000000000000000000000b', 'memo', 'y', '2024-03-01 00:00:00', 250, 100);
CREATE INDEX splits_tx_guid_index ON splits (tx_guid);
CREATE TABLE slots(id integer PRIMARY KEY AUTOINCREMENT NOT NULL, obj_guid text(32) NOT NULL, name text(4096) NOT NULL, slot_type integer NOT NULL, int64_val bigint, string_val text(4096), double_val float8, timespec_val text(19), numeric_val_num bigint, numeric_val_denom bigint, gdate_val text(8));
INSERT INTO slots VALUES (1, '0000000000000000000000000000000c', 'date-posted', 10, 0, NULL, 0.0, '1970-01-01 00:00:00', 0, 1, '20240229'), (2, '0000000000000000000000000000000a', 'note', 4, 0, 'text', NULL, NULL, 0, 1, NULL);
