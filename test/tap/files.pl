# Files in the shape of what fourteen programs keep (test/files): each is imported,
# every table read and compared with what sqlite3 says of it, filtered and
# sorted by every column as a local copy is, and written where its owner would
# allow it, in the form that its owner writes.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use FindBin;
use lib $FindBin::RealBin;
use VssTest;

my $node = PostgreSQL::Test::Cluster->new('files');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\n");
$node->start;
my $folder = $node->basedir . '/sqlite';
mkdir $folder;
$node->safe_psql('postgres', 'CREATE EXTENSION vss_fdw');
IPC::Run::run([ "$FindBin::RealBin/../files/make", $folder ]) or die 'test/files/make failed';

# What sqlite3 needs to read them; PostgreSQL does without, at first.
my $library = "$folder/lacking.so";
system('cc', '-shared', '-fPIC', '-O1', '-o', $library, "$FindBin::RealBin/../files/lacking.c") == 0 or BAIL_OUT('test/files/lacking.c does not compile');
sub owner { my ($file, @lines) = @_; return sqlite($file, ".load $library", @lines); }

# What is noticed at the import, by its beginning.
my %noticed = (
	anki => [ 'column "sfld" of table "notes" is imported as text' ],
	calibre => [ 'view "meta" was not imported: no such function: sortconcat' ],
	zotero => [],
);

# Which columns cannot be written, since SQLite lacks what their tables need: "table.column" by what it lacks.
my %unwritable = (
	anki => { 'decks.id' => 'unicase', 'decks.name' => 'unicase', 'fields.ntid' => 'unicase', 'fields.ord' => 'unicase', 'fields.name' => 'unicase', map { ("tags.$_" => 'unicase') } qw(tag usn collapsed config) },
	calibre => { 'books.title' => 'title_sort' },
	contacts => { 'raw_contacts._id' => 'PHONEBOOK', 'raw_contacts.sort_key' => 'PHONEBOOK', 'groups.title' => 'LOCALIZED', 'groups.members' => 'LOCALIZED' },
);

# Columns without a type that hold numbers beside text, which become text; and JSON, whose blanks jsonb does not keep.
my %loses_form = map { $_ => 1 } qw(firefox.moz_meta.value zotero.itemDataValues.value zotero.settings.value prisma.User.meta);

# What an owner could do as well: SQL in PostgreSQL, then what sqlite3 must say.
my %writes = (
	anki => [ [ q{INSERT INTO anki.revlog VALUES (1709210300000, 1709210096792, 2, 900)}, q{SELECT quote(id), typeof(id) FROM revlog WHERE ease = 2}, '1709210300000|integer' ],
		[ q{UPDATE anki.notes SET flds = E'a\x1fb', mod = 5 WHERE guid = 'x1'}, q{SELECT hex(flds), mod FROM notes WHERE guid = 'x1'}, '611F62|5' ],
		[ q{DELETE FROM anki.graves WHERE type = 1}, q{SELECT oid, type FROM graves}, '5|0' ] ],
	calibre => [ [ q{INSERT INTO calibre.authors(name, sort) VALUES ('New', 'new')}, q{SELECT name, link FROM authors WHERE name = 'NEW'}, 'New|' ],
		[ q{UPDATE calibre.books SET last_modified = '2024-05-06 07:08:09.25', has_cover = true WHERE id = 2}, q{SELECT quote(last_modified), has_cover FROM books WHERE id = 2}, q{'2024-05-06 07:08:09.250000+00:00'|1} ],
		[ q{DELETE FROM calibre.books WHERE id = 2}, q{SELECT (SELECT count(*) FROM books), (SELECT count(*) FROM books_authors_link)}, '1|1' ] ],
	chrome => [ [ q{INSERT INTO chrome.downloads VALUES (3, 'g', '/z', '2024-05-06 07:08:09.123456', 5, '\x00ff', NULL, 1)}, q{SELECT quote(start_time), quote(hash), quote(end_time) FROM downloads WHERE id = 3}, q{13359452889123456|X'00FF'|NULL} ],
		[ q{UPDATE chrome.visits SET incremented_omnibox_typed_score = true WHERE id = 1}, q{SELECT quote(incremented_omnibox_typed_score) FROM visits WHERE id = 1}, '1' ] ],
	contacts => [ [ q{INSERT INTO contacts.data(raw_contact_id, mimetype_id, data1) VALUES (3, 5, '+1')}, q{SELECT _id, is_primary, data1 FROM data WHERE raw_contact_id = 3}, '3|0|+1' ],
		[ q{UPDATE contacts.raw_contacts SET display_name = 'Zoe' WHERE _id = 1}, q{SELECT display_name FROM raw_contacts WHERE _id = 1}, 'Zoe' ],
		[ q{INSERT INTO contacts.search_index(contact_id, content, name, tokens) VALUES ('2', 'anna', 'anna', '')}, q{SELECT count(*) FROM search_index WHERE search_index MATCH 'anna'}, '1' ] ],
	coredata => [ [ q{INSERT INTO coredata."ZNOTE"("Z_PK", "Z_ENT", "Z_OPT", "ZCREATIONDATE", "ZMODIFICATIONDATE", "ZTITLE") VALUES (4, 1, 1, '2024-02-29 12:34:56', '2024-02-29 12:34:56.5', 'new')}, q{SELECT quote(ZCREATIONDATE), quote(ZMODIFICATIONDATE) FROM ZNOTE WHERE Z_PK = 4}, '730902896|730902896.5' ],
		[ q{UPDATE coredata."Z_PRIMARYKEY" SET "Z_MAX" = 4 WHERE "Z_NAME" = 'Note'}, q{SELECT Z_MAX FROM Z_PRIMARYKEY WHERE Z_ENT = 1}, '4' ] ],
	django => [ [ q{INSERT INTO django.shop_order VALUES ('b0eebc999c0b4ef8bb6d6bb9bd380a11', 1, 12.50, 1, '{"a": 1}', NULL, 5, '2024-05-06', '07:08:09.5', 2.5, 'new', '\x01')}, q{SELECT quote(total), quote(extra), quote(due), quote(opens), quote(receipt) FROM shop_order WHERE slug = 'new'}, q{12.5|'{"a": 1}'|'2024-05-06'|'07:08:09.500000'|X'01'} ],
		[ q{UPDATE django.auth_user SET date_joined = '2024-05-06 07:08:09', is_active = true WHERE username = 'Ann'}, q{SELECT quote(date_joined), quote(is_active) FROM auth_user WHERE id = 2}, q{'2024-05-06 07:08:09'|1} ],
		[ q{UPDATE django.shop_tag SET path = '{"name": "green"}' WHERE id = 1}, q{SELECT label FROM shop_tag WHERE id = 1}, 'green' ] ],
	firefox => [ [ q{INSERT INTO firefox.moz_bookmarks(type, parent, position, title) VALUES (2, 0, 1, 'folder') RETURNING id}, q{SELECT id, fk FROM moz_bookmarks WHERE title = 'folder'}, '3|' ],
		[ q{UPDATE firefox.moz_meta SET value = '3' WHERE key = 'origin_frecency_count'}, q{SELECT value FROM moz_meta WHERE key = 'origin_frecency_count'}, '3' ] ],
	geopackage => [ [ q{INSERT INTO geopackage.wells(geom, name, dry, drilled, seen) VALUES ('\x47500001000000000101000000000000000000f03f0000000000000040', 'new', false, '2024-05-06', '2024-05-06 07:08:09.5')}, q{SELECT fid, dry, quote(drilled), quote(seen), (SELECT group_concat(minx || ' ' || maxy) FROM rtree_wells_geom WHERE id = fid) FROM wells WHERE name = 'new'}, q{4|0|'2024-05-06'|'2024-05-06T07:08:09.500Z'|1.0 2.0} ],
		[ q{DELETE FROM geopackage.wells WHERE name = 'north'}, q{SELECT count(*) FROM rtree_wells_geom}, '2' ] ],
	gnucash => [ [ q{UPDATE gnucash.splits SET value_num = -300, reconcile_date = '2024-05-06 07:08:09' WHERE reconcile_state = 'n'}, q{SELECT value_num, quote(reconcile_date) FROM splits WHERE reconcile_state = 'n'}, q{-300|'2024-05-06 07:08:09'} ],
		[ q{INSERT INTO gnucash.accounts VALUES ('ff', 'New', 'BANK', NULL, 100, NULL, '0043', 0, 0)}, q{SELECT quote(code) FROM accounts WHERE guid = 'ff'}, q{'0043'} ] ],
	homeassistant => [ [ q{INSERT INTO homeassistant.states(state_id, state, last_updated_ts, metadata_id, context_id_bin) VALUES (4, 'off', 1709210099.125, 2, '\x00')}, q{SELECT quote(last_updated_ts), quote(context_id_bin) FROM states WHERE state_id = 4}, q{1709210099.125|X'00'} ],
		[ q{UPDATE homeassistant.recorder_runs SET "end" = '2024-05-06 07:08:09' WHERE run_id = 2}, q{SELECT quote("end") FROM recorder_runs WHERE run_id = 2}, q{'2024-05-06 07:08:09.000000'} ] ],
	prisma => [ [ q{INSERT INTO prisma."User"(id, email, score, "updatedAt", "createdAt", meta) VALUES ('clt4', 'd@example.org', 1.5, '2024-05-06 07:08:09.123', '2024-05-06 07:08:09', '{"b": [1]}')}, q{SELECT quote(updatedAt), quote(createdAt), role, active, json(meta) FROM User WHERE id = 'clt4'}, '1714979289123|1714979289000|USER|1|{"b":[1]}' ],
		[ q{DELETE FROM prisma."Post" WHERE "publishedAt" < '2024-02-29 12:00:00'}, q{SELECT count(*) FROM Post}, '2' ] ],
	rails => [ [ q{INSERT INTO rails.rooms(name, open, quiet, opens_at, closes_at, created_at, updated_at, price, settings) VALUES ('new', true, false, '07:08:00', '07:08:09', '2024-05-06 07:08:09.5', '2024-05-06 07:08:09', 2.25, '{"b":2}')}, q{SELECT quote(open), quote(quiet), quote(opens_at), quote(closes_at), quote(created_at), quote(price), quote(settings) FROM rooms WHERE name = 'new'}, q{'t'|0|'2000-01-01 07:08:00'|'2000-01-01 07:08:09.000000'|'2024-05-06 07:08:09.500000'|2.25|'{"b":2}'} ],
		[ q{UPDATE rails.rooms SET open = false WHERE name = 'red'}, q{SELECT quote(open) FROM rooms WHERE name = 'red'}, q{'f'} ] ],
	signal => [ [ q{INSERT INTO signal.messages(id, json, "conversationId", type, body) VALUES ('m4', '{"preview": 1}', '7', 'outgoing', 'fresh words')}, q{SELECT m.id, m.hasPreview FROM messages_fts f JOIN messages m ON m.rowid = f.rowid WHERE messages_fts MATCH 'fresh'}, 'm4|1' ],
		[ q{UPDATE signal.messages SET body = 'other' WHERE id = 'm1'}, q{SELECT count(*) FROM messages_fts WHERE messages_fts MATCH 'hello'}, '0' ],
		[ q{INSERT INTO signal.sessions VALUES ('b:1', '7', '\x05')}, q{SELECT quote(record) FROM sessions WHERE id = 'b:1'}, q{X'05'} ] ],
	zotero => [ [ q{INSERT INTO zotero.items("itemTypeID", "libraryID", key) VALUES (2, 1, 'NEWITEM1')}, q{SELECT itemID, synced, length(dateAdded) FROM items WHERE key = 'NEWITEM1'}, '3|0|19' ],
		[ q{INSERT INTO zotero.settings VALUES ('a', 'b', 'text')}, q{SELECT quote(value) FROM settings WHERE setting = 'a'}, q{'text'} ],
		[ q{DELETE FROM zotero.items WHERE "itemID" = 1}, q{SELECT count(*) FROM itemData}, '1' ] ],
);
my @refused = (
	[ q{INSERT INTO calibre.books(title) VALUES ('x')}, qr/no such function: title_sort\nHINT: .*vss_fdw\.allowed_extensions/ ],
	[ q{INSERT INTO anki.tags VALUES ('x', 0, false, NULL)}, qr/no such collation sequence: unicase\nHINT: .*vss_fdw\.allowed_extensions/ ],
	[ q{INSERT INTO contacts.raw_contacts(display_name, sort_key) VALUES ('x', 'x')}, qr/no such collation sequence: PHONEBOOK/ ],
	[ q{DELETE FROM contacts.groups WHERE members = 2}, qr/no such collation sequence: LOCALIZED/ ],
	[ q{INSERT INTO zotero."itemAttachments"("itemID", "linkMode") VALUES (1, 9)}, qr/linkMode must be 0 to 3/ ],
	[ q{INSERT INTO django.shop_order(id, customer_id, total, pieces, extra, slug) VALUES ('x', 1, 1, -1, '{}', 's')}, qr/CHECK constraint failed/ ],
	[ q[INSERT INTO django.shop_order(id, customer_id, total, pieces, extra, slug) VALUES ('x', 1, 1, 1, '{', 's')], qr/CHECK constraint failed/ ],
	[ q{INSERT INTO prisma."Post"(title, "authorId") VALUES ('x', 'nobody')}, qr/FOREIGN KEY constraint failed/ ],
);

# A column's value as text: here, and in SQLite by other means than ours.
sub pg_text
{
	my ($column, $type) = @_;
	return "$column\::int::text" if $type eq 'boolean';
	return "encode($column, 'hex')" if $type eq 'bytea';
	return "round($column\::numeric, 6)::text" if $type =~ /^(double precision|numeric)$/;
	return "to_char($column, 'YYYY-MM-DD HH24:MI:SS')" if $type =~ /^timestamp/;
	return "to_char($column, 'HH24:MI:SS')" if $type =~ /^time /;
	return "to_char($column, 'YYYY-MM-DD')" if $type eq 'date';
	return "replace($column\::text, ' ', '')" if $type eq 'jsonb';
	return "$column\::text";
}
my %seconds = (ms => '%s / 1000.0', us => '%s / 1000000.0', webkit => '%s / 1000000.0 - 11644473600', coredata => '%s + 978307200', s => '%s');
sub sqlite_text
{
	my ($column, $type, $unit) = @_;
	my $format = $type =~ /^timestamp/ ? '%Y-%m-%d %H:%M:%S' : $type =~ /^time / ? '%H:%M:%S' : $type eq 'date' ? '%Y-%m-%d' : undef;
	return "CASE typeof($column) WHEN 'text' THEN lower($column) IN ('t', 'true', 'y') ELSE $column END" if $type eq 'boolean';
	return "CASE WHEN $column IS NOT NULL THEN lower(hex($column)) END" if $type eq 'bytea';
	return "CASE WHEN $column IS NOT NULL THEN printf('%.6f', $column) END" if $type =~ /^(double precision|numeric)$/;
	return 'CASE typeof(' . $column . ") WHEN 'text' THEN strftime('$format', $column) ELSE strftime('$format', " . sprintf($seconds{ $unit // 's' }, $column) . ", 'unixepoch') END" if defined $format;
	return "json($column)" if $type =~ /^jsonb/;
	return "CAST($column AS TEXT)";
}

$node->safe_psql('postgres', <<'X');
CREATE FUNCTION same(anyelement) RETURNS anyelement LANGUAGE plpgsql VOLATILE AS 'BEGIN RETURN $1; END';
-- write a column as it is, by way of here; what went wrong
CREATE FUNCTION rewrite(f regclass, c text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('UPDATE %s SET %I = same(%2$I)', f, c);
EXCEPTION WHEN OTHERS THEN
	RETURN NEXT split_part(replace(f::text, '"', ''), '.', 2) || '.' || c || ' ' || sqlerrm;
END $$;
-- what differs between a foreign table and its copy under conditions on each column, and orders by it
CREATE FUNCTION differences(f regclass, l regclass) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	c record;
	v text;
	cond text;
	foreign_rows text;
	local_rows text;
	q text := 'SELECT count(*) || '' '' || coalesce(md5(string_agg(x::text, '','' ORDER BY x::text)), '''') FROM %s x WHERE %s';
BEGIN
	FOR c IN SELECT quote_ident(attname) AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute WHERE attrelid = f AND attnum > 0 LOOP
		FOR cond IN SELECT c.name || ' IS NULL' UNION ALL SELECT c.name || ' IS NOT NULL' LOOP
			EXECUTE format(q, f, cond) INTO foreign_rows;
			EXECUTE format(q, l, cond) INTO local_rows;
			IF foreign_rows <> local_rows THEN RETURN NEXT f || ' WHERE ' || cond || ': ' || foreign_rows || ' for ' || local_rows; END IF;
		END LOOP;
		CONTINUE WHEN c.type LIKE 'json%';
		FOR v IN EXECUTE format('SELECT quote_literal(%s) || ''::%s'' FROM (SELECT DISTINCT %1$s FROM %3$s WHERE %1$s IS NOT NULL ORDER BY 1 LIMIT 3) AS d', c.name, c.type, l) LOOP
			FOREACH cond IN ARRAY ARRAY['%s = %s', '%s < %s', '%s >= %s', '%s = ANY (ARRAY[%s])', '%s IS DISTINCT FROM %s'] || CASE c.type WHEN 'text' THEN ARRAY['%s LIKE %s || ''%%''', '%s < %s COLLATE "C"'] ELSE '{}' END LOOP
				cond := format(cond, c.name, v);
				EXECUTE format(q, f, cond) INTO foreign_rows;
				EXECUTE format(q, l, cond) INTO local_rows;
				IF foreign_rows <> local_rows THEN RETURN NEXT f || ' WHERE ' || cond || ': ' || foreign_rows || ' for ' || local_rows; END IF;
			END LOOP;
		END LOOP;
		FOREACH cond IN ARRAY ARRAY[' ASC', ' DESC'] LOOP
			EXECUTE format('SELECT string_agg(v, '','') FROM (SELECT %s::text AS v FROM %s ORDER BY %1$s%3$s) AS o', c.name, f, cond) INTO foreign_rows;
			EXECUTE format('SELECT string_agg(v, '','') FROM (SELECT %s::text AS v FROM %s ORDER BY %1$s%3$s) AS o', c.name, l, cond) INTO local_rows;
			IF foreign_rows <> local_rows THEN RETURN NEXT f || ' ORDER BY ' || c.name || cond || ': ' || foreign_rows || ' for ' || local_rows; END IF;
		END LOOP;
		EXECUTE format('SELECT string_agg(v || '' '' || n, '','' ORDER BY v COLLATE "C") FROM (SELECT %s::text AS v, count(*) AS n FROM %s GROUP BY %1$s) AS g', c.name, f) INTO foreign_rows;
		EXECUTE format('SELECT string_agg(v || '' '' || n, '','' ORDER BY v COLLATE "C") FROM (SELECT %s::text AS v, count(*) AS n FROM %s GROUP BY %1$s) AS g', c.name, l) INTO local_rows;
		IF foreign_rows <> local_rows THEN RETURN NEXT f || ' GROUP BY ' || c.name || ': ' || foreign_rows || ' for ' || local_rows; END IF;
	END LOOP;
END $$;
X

for my $name (sort map { m{([a-z]+)\.db$} } glob "$folder/*.db")
{
	my $db = "$folder/$name.db";
	my ($code, $out, $err) = $node->psql('postgres', "CREATE SERVER $name FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '$db');
		CREATE SCHEMA $name; CREATE SCHEMA local_$name;
		IMPORT FOREIGN SCHEMA main FROM SERVER $name INTO $name;");
	is($code, 0, "$name: imported") or diag $err;
	is_deeply([ $err =~ /(?:NOTICE|WARNING):  (.*)/g ], $noticed{$name} // [], "$name: what is said of it");

	my %columns;
	push @{ $columns{ $_->[0] } }, { name => $_->[1], type => $_->[2], unit => $_->[3] =~ /time_unit=(\w+)/ ? $1 : undef, generated => 0 }
		for map { [ split /\t/ ] } split /\n/, $node->safe_psql('postgres', "SELECT relname || E'\\t' || attname || E'\\t' || format_type(atttypid, atttypmod) || E'\\t' || attfdwoptions::text FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid AND attnum > 0 WHERE relnamespace = '$name'::regnamespace ORDER BY relname, attnum");
	# what is read
	my $here = $node->safe_psql('postgres', join ";\n", map { my $t = $_; 'SELECT ' . join(" || '|' || ", qq{'$t: '}, map { 'coalesce(' . pg_text(qq{"$_->{name}"}, $_->{type}) . ", '-')" } @{ $columns{$t} }) . qq{ FROM $name."$t"} } sort keys %columns);
	my $there = owner($db, join ";\n", map { my $t = $_; 'SELECT ' . join(" || '|' || ", qq{'$t: '}, map { 'coalesce(' . sqlite_text(qq{"$_->{name}"}, $_->{type}, $_->{unit}) . ", '-')" } @{ $columns{$t} }) . qq{ FROM "$t"} } sort keys %columns);
	utf8::encode($there);
	is(join("\n", sort split /\n/, $here), join("\n", sort split /\n/, $there), "$name: every table as sqlite3 gives it");
	is($node->safe_psql('postgres', join ";\n", map { qq{CREATE TABLE local_$name."$_" AS SELECT * FROM $name."$_"; SELECT differences('$name."$_"', 'local_$name."$_"')} } sort keys %columns),
		'', "$name: conditions, orders and groups as in a local copy");

	# each column written as it is
	my $readonly = owner($db, q{SELECT ',' || coalesce(group_concat(name), '') || ',' FROM sqlite_schema WHERE type = 'view' OR rootpage = 0 AND type = 'table'});
	my @written = grep { index($readonly, ",$_,") < 0 } sort keys %columns;
	my %hidden = map { $_ => 1 } split /\n/, owner($db, q{SELECT t.name || '.' || c.name FROM sqlite_schema t, pragma_table_xinfo(t.name) c WHERE t.type = 'table' AND c.hidden <> 0});
	my $stored = join ";\n", map { my $t = $_; 'SELECT ' . join(" || '|' || ", qq{'$t: '}, map { qq{quote("$_->{name}")} } grep { !$loses_form{"$name.$t.$_->{name}"} } @{ $columns{$t} }) . qq{ FROM "$t" ORDER BY 1} } @written;
	my $before = owner($db, $stored);
	my $errors = $node->safe_psql('postgres', join ";\n", map { my $t = $_; map { qq{SELECT rewrite('$name."$t"', '$_->{name}')} } grep { !$hidden{"$t.$_->{name}"} } @{ $columns{$t} } } @written);
	my %failed = map { /^(\S+) (.*)/ ? ($1 => $2) : (undef => $_) } split /\n/, $errors;
	is_deeply({ map { $_ => $failed{$_} =~ /^SQLite error on server "$name": no such (?:function|collation sequence): (\w+)$/ ? $1 : $failed{$_} } keys %failed }, $unwritable{$name} // {},
		"$name: columns can be written, or the error says what SQLite lacks");
	is(owner($db, $stored), $before, "$name: values that are written again stay what they were, in form, too");

	for my $write (@{ $writes{$name} })
	{
		my ($sql, $look, $expected) = @$write;
		my ($code, undef, $err) = $node->psql('postgres', $sql);
		is($code == 0 ? owner($db, $look) : $err, $expected, "$name: $sql");
	}
	is(owner($db, 'PRAGMA integrity_check'), 'ok', "$name: whole in the end");
}
for my $refused (@refused)
{
	my ($sql, $error) = @$refused;
	my (undef, undef, $err) = $node->psql('postgres', $sql);
	like($err, $error, $sql);
}

# With the library what could not be written can be.
my @served = (
	[ q{INSERT INTO calibre.books(title) VALUES ('The Hill') RETURNING sort}, q{SELECT sort, uuid FROM books WHERE title = 'The Hill'}, 'Hill, The|a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a99' ],
	[ q{INSERT INTO anki.tags VALUES ('Noun2', 0, false, NULL)}, q{SELECT group_concat(tag) FROM (SELECT tag FROM tags ORDER BY tag)}, 'adjective,Noun,Noun2,Verb' ],
	[ q{UPDATE anki.tags SET usn = 7 WHERE tag = 'Verb'}, q{SELECT usn FROM tags WHERE tag = 'VERB'}, '7' ],
	[ q{INSERT INTO contacts.raw_contacts(display_name, sort_key) VALUES ('x', 'carl')}, q{SELECT group_concat(sort_key) FROM (SELECT sort_key FROM raw_contacts WHERE sort_key > 'b' AND sort_key < 'y' ORDER BY sort_key)}, 'Bob,carl' ],
	[ q{DELETE FROM contacts.groups WHERE title = 'work'}, q{SELECT count(*) FROM groups}, '2' ],
);
sub says { my ($sql) = @_; my (undef, $out, $err) = $node->psql('postgres', $sql); return $err ne '' ? $err : $out; }
for my $name (qw(anki calibre contacts)) { $node->safe_psql('postgres', "ALTER SERVER $name OPTIONS (ADD extensions '$library')"); }
like(says('SELECT count(*) FROM anki.tags'), qr/SQLite extension "\Q$library\E" of server "anki" is not allowed\nHINT: .*vss_fdw\.allowed_extensions/, 'a library that is not allowed');
like(says("SET vss_fdw.allowed_extensions = '$library'; SELECT count(*) FROM anki.tags"), qr/is not allowed/, 'which no session can allow');
$node->append_conf('postgresql.conf', "vss_fdw.allowed_extensions = '/nowhere/other.so, $library'");
$node->reload;
$node->poll_query_until('postgres', "SELECT current_setting('vss_fdw.allowed_extensions') LIKE '%lacking%'") or die 'no reload';
for my $served (@served)
{
	my ($sql, $look, $expected) = @$served;
	my ($name) = $sql =~ /(\w+)\./;
	my ($code, undef, $err) = $node->psql('postgres', $sql);
	is($code == 0 ? owner("$folder/$name.db", $look) : $err, $expected, "allowed: $sql");
}
is(owner("$folder/$_.db", 'PRAGMA integrity_check'), 'ok', "$_: whole") for qw(anki calibre contacts);
like(says("SELECT vss_exec('anki', 'SELECT load_extension(''$library'')')"), qr/not authorized|vss_fdw does not allow function load_extension/, 'load_extension() stays off');
like(says(q{SELECT vss_exec('anki', 'SELECT readfile(''/etc/passwd'')')}), qr/not authorized to use function: readfile/, 'and so does what reads files, which the library has');
like(says("ALTER SERVER django OPTIONS (ADD extensions 'lacking.so')"), qr/must have absolute paths/, 'a relative path');
$node->safe_psql('postgres', q{ALTER SERVER django OPTIONS (ADD extensions '/nowhere/other.so')});
like(says('SELECT count(*) FROM django.auth_user'), qr{could not load SQLite extension "/nowhere/other.so" of server "django": .*No such file}, 'a library that is not there');

# A background merge loads it as well: the table that the index follows needs it when rows are removed from the journal's table.
owner("$folder/merge.db", q{CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT COLLATE LOCALIZED UNIQUE, v BLOB)});
$node->safe_psql('postgres', qq{CREATE SERVER merge FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '$folder/merge.db', extensions '$library'); CREATE SCHEMA merge; IMPORT FOREIGN SCHEMA main FROM SERVER merge INTO merge;
	SELECT vss_exec('merge', 'CREATE VIRTUAL TABLE vss USING hnsw(dim = 2, metric = l2, content = t, content_vector = v)'); IMPORT FOREIGN SCHEMA main LIMIT TO (vss) FROM SERVER merge INTO merge;
	SELECT vss_exec('merge', 'INSERT INTO t(name, v) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000) SELECT ''n'' || i, vector(''['' || i || '',0]'') FROM n');});
ok($node->poll_query_until('postgres', q{SELECT vss_index_info('merge.vss')->'graph'->>'nodes' = '6000'}), 'a background merge with the library') or diag $node->safe_psql('postgres', q{SELECT vss_index_info('merge.vss')});

$node->stop;
done_testing();
