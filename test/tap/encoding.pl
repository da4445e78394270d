# SQLite speaks UTF-8; the PostgreSQL database may speak something else.
use strict;
use warnings;
use utf8;
use Cwd qw(getcwd);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use FindBin;
use lib $FindBin::RealBin;
use VssTest;

my $root = getcwd();
my $node = PostgreSQL::Test::Cluster->new('encoding');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\n");
$node->start;
my $file = $node->basedir . '/encoding.db';

# The client speaks UTF-8 in any case.
sub ask
{
	my ($database, $sql) = @_;
	$sql = "SET client_encoding = 'UTF8';\n\\set VERBOSITY verbose\n$sql";
	utf8::encode($sql);
	my ($code, $out, $err) = $node->psql($database, $sql, on_error_stop => 0);
	utf8::decode($out);
	utf8::decode($err);
	return $out . $err;
}

sqlite_says($file, q{CREATE TABLE "größe"("schlüssel" INTEGER PRIMARY KEY, "straße" TEXT, j TEXT);
	INSERT INTO "größe" VALUES (1, 'Köln', '["ä"]'), (2, '漢字', '[]'), (3, 'plain', '[]')});

# table, vector and index with names beyond ASCII
sqlite_says($file, qq{.load $root/hnsw\n} . q{CREATE TABLE "Äpfel"("id" INTEGER PRIMARY KEY AUTOINCREMENT, "maß" TEXT);
	INSERT INTO "Äpfel"("maß") VALUES ('[5,5]'), ('[1,2]'), ('[3,1]');
	CREATE VIRTUAL TABLE "nächste" USING hnsw(dim=2, metric=l2, content="Äpfel", content_rowid=id, content_vector="maß");}) if -e "$root/hnsw.so";

for my $encoding ('LATIN1', 'UTF8', 'SQL_ASCII')
{
	my $database = lc $encoding;
	$node->safe_psql('postgres', "CREATE DATABASE $database TEMPLATE template0 ENCODING '$encoding' LOCALE 'C'");
	is(ask($database, "CREATE EXTENSION vss_fdw; CREATE SERVER s FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '$file');
		IMPORT FOREIGN SCHEMA main FROM SERVER s INTO public;"), '', "$encoding: names are imported");
	next if $encoding eq 'SQL_ASCII';
	is(ask($database, 'SELECT "straße" FROM "größe" WHERE "schlüssel" = 1;'), 'Köln', "$encoding: a value is read");
	is(ask($database, q{SELECT "schlüssel" FROM "größe" WHERE "straße" = 'Köln';}), '1', "$encoding: a constant is compared");
	is(ask($database, q{PREPARE p(text) AS SELECT "schlüssel" FROM "größe" WHERE "straße" = $1; SET plan_cache_mode = force_generic_plan; EXECUTE p('Köln');}),
		'1', "$encoding: a parameter is compared");
	is(ask($database, q{INSERT INTO "größe"("straße") VALUES ('Ærø') RETURNING "straße";}), 'Ærø', "$encoding: a value is written");
	is(sqlite_says($file, q{SELECT DISTINCT "straße", hex("straße") FROM "größe" WHERE "schlüssel" > 3}), 'Ærø|C38672C3B8', "$encoding: as UTF-8");
	is(ask($database, q{CREATE FOREIGN TABLE x("schlüssel" int, j text[]) SERVER s OPTIONS ("table" 'größe'); SELECT j FROM x WHERE "schlüssel" = 1;}),
		'{ä}', "$encoding: JSON arrays");
	like(ask($database, 'CREATE FOREIGN TABLE y("straße" int) SERVER s OPTIONS ("table" \'größe\'); SELECT * FROM y;'),
		qr/SQLite value "Köln" does not fit.*column "straße", rowid 1/s, "$encoding: messages");
	SKIP:
	{
		skip "no hnsw.so in $root", 5 unless -e "$root/hnsw.so";

		is(ask($database, q{SELECT "id" FROM "Äpfel" ORDER BY "maß" <-> '[1,2]' LIMIT 1;}), '2', "$encoding: nearest neighbours");
		is(ask($database, q{SELECT vss_index_info('"nächste"')->>'index';}), 'nächste', "$encoding: an index tells of itself");
		is(ask($database, q{SELECT vss_check('"nächste"'), vss_recall('"nächste"');}), 'ok|1', "$encoding: and is checked");
		is(ask($database, q{SELECT vss_merge('"nächste"');}), '', "$encoding: and merged");
		is(ask($database, q{BEGIN; TRUNCATE "Äpfel" RESTART IDENTITY; INSERT INTO "Äpfel"("maß") VALUES ('[1,1]') RETURNING "id"; ROLLBACK;}), '1', "$encoding: a sequence begins anew");
	}
	if ($encoding eq 'LATIN1')
	{
		like(ask($database, 'SELECT "straße" FROM "größe" WHERE "schlüssel" = 2;'), qr/22P05: character .* has no equivalent in encoding "LATIN1".*rowid 2/s,
			"$encoding: what the database cannot hold is an error");
	}
}

$node->stop;
done_testing();
