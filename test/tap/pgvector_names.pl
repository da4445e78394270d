# The extension vss_pgvector, in a database without pgvector: statements written
# for pgvector run over its type `vector`, under pgvector's own names, and the
# index of a foreign table is asked.
use strict;
use warnings;
use Cwd qw(abs_path getcwd);
use File::Basename qw(dirname);
use File::Copy qw(copy);
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use VssTest;

my $here = abs_path(dirname(__FILE__));
my $root = getcwd();
my $dir = PostgreSQL::Test::Utils::tempdir();

sub pg_config { chomp(my $answer = `$ENV{PG_CONFIG} $_[0]`); return $answer }
$ENV{PG_CONFIG} ||= 'pg_config';

# a private copy of the server's folders, since `make install-as-vector` writes there
my $bin = pg_config('--bindir');
system_or_bail('bash', '-c', '. "$1"; RUN=$2; private_tree "$3"; trap - EXIT', 'bash', "$here/../../scripts/cluster.sh",
	$dir, -x "$bin/pg_config" ? "$bin/pg_config" : $ENV{PG_CONFIG});
my $extensions = "$dir/pg" . pg_config('--sharedir') . '/extension';
unlink glob("$extensions/vss_pgvector*"), glob("$extensions/vector*");
copy($_, $extensions) or die "$_: $!" for glob("$root/vss_pgvector*");

my $node = PostgreSQL::Test::Cluster->new('names', install_path => dirname("$dir/pg$bin"));
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\njit = off\n");
$node->start;

sub sql
{
	my ($status, $out, $err) = $node->psql('postgres', $_[0]);
	$err =~ s/^psql:<stdin>:\d+: //mg;
	return $status == 0 ? $out : "FAILED: $err";
}

my $file = "$dir/items.db";
sqlite($file, ".load $root/hnsw", "CREATE TABLE items(id INTEGER PRIMARY KEY, name TEXT, embedding BLOB);
	CREATE VIRTUAL TABLE vss_l2 USING hnsw(dim=3, metric=l2, content=items, content_vector=embedding);
	CREATE VIRTUAL TABLE vss_cosine USING hnsw(dim=3, content=items, content_vector=embedding);
	WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
	INSERT INTO items SELECT i, 'item ' || i, vector('[' || i || ',' || (i % 7) || ',' || (i * i % 11) || ']') FROM n;
	SELECT hnsw_save('vss_l2'), hnsw_save('vss_cosine')");

like(sql('CREATE EXTENSION vss_pgvector'), qr/required extension "vss_fdw" is not installed/, 'it stands on vss_fdw');
is(sql("CREATE SCHEMA v; CREATE EXTENSION vss_fdw; CREATE EXTENSION vss_pgvector SCHEMA v; ALTER DATABASE postgres SET search_path = public, v"),
	'', 'created in a schema of choice');
is(sql("SELECT n.nspname || '.' || t.typname, to_regtype('vector')::text FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE typname = 'vector'"),
	'v.vector|vector', 'client libraries find the type by its name');
is(sql("SELECT count(*) FROM pg_amop o JOIN pg_opfamily f ON f.oid = o.amopfamily JOIN pg_opclass c ON c.opcfamily = f.oid WHERE c.opcintype = 'vector'::regtype AND NOT amvalidate(c.oid)"),
	'0', 'its operator classes are valid');

# ---- names, and what comes back ----

is(sql("SELECT '[1,2,3]'::vector(3), l2_distance('[0,0]', '[3,4]'), inner_product('[1,2]', '[3,4]'), cosine_distance('[1,0]', '[0,1]'),
	l1_distance('[0,0]', '[3,-4]'), vector_dims('[1,2]'::vector), vector_norm('[3,4]'), l2_normalize('[3,4]'::vector),
	binary_quantize('[1,-1]'::vector), subvector('[1,2,3]'::vector, 2, 2)"),
	'[1,2,3]|5|11|1|7|2|5|[0.6,0.8]|10|[2,3]', 'functions');
is(sql("SELECT '[0,0]'::vector <-> '[3,4]', '[1,2]'::vector <#> '[3,4]', '[1,0]'::vector <=> '[0,1]', '[0,0]'::vector <+> '[3,-4]', B'110' <~> B'101', B'110' <%> B'110'"),
	'5|-11|1|7|2|0', 'distances');
is(sql("SELECT '[1,2]'::vector + '[3,4]', '[1,2]'::vector - '[3,4]', '[1,2]'::vector * '[3,4]', '[1,2]'::vector || '[3]', '[1]' || '[2]'::vector, '[1,2]'::vector < '[1,3]', '[1]'::vector = '[1]'"),
	'[4,6]|[-2,-2]|[3,8]|[1,2,3]|[1,2]|t|t', 'arithmetic, comparison');
is(sql("SELECT pg_typeof('[1]'::vector + '[1]'), pg_typeof(avg(v)), avg(v), sum(v), avg(v) = (SELECT '[2,3]'::vector) FROM (VALUES ('[1,2]'::vector), ('[3,4]')) x(v)"),
	'vector|vector|[2,3]|[4,6]|t', 'aggregates, and results have the type that clients registered');
is(sql("SELECT ARRAY[1,2,3]::vector, ARRAY[1.5,2]::real[]::vector(2), '[1,2]'::vector::real[], ARRAY[1,2] = ARRAY[1,2], ARRAY[1] || ARRAY[2]"),
	'[1,2,3]|[1.5,2]|{1,2}|t|{1,2}', 'casts; arrays stay what they were');
is(sql("CREATE TABLE local(id int, embedding vector(3)); INSERT INTO local VALUES (1, '[1,2,3]'), (2, '[4,5,6]'), (3, NULL);
	CREATE INDEX ON local (embedding); SELECT id FROM local ORDER BY embedding <-> '[3,3,3]' LIMIT 1; SELECT DISTINCT embedding FROM local ORDER BY 1"),
	"1\n[1,2,3]\n[4,5,6]\n", 'a local table');
is(sql("SELECT '[1,2]'::vector(3)"), "FAILED: ERROR:  expected 3 dimensions, not 2", 'wrong dimensions');
like(sql("SELECT '[x]'::vector"), qr/invalid input syntax for type vector: "\[x\]"/, 'a message names the type');
like(sql("SELECT 'x'::vss_vector"), qr/invalid input syntax for type vss_vector: "x"/, 'of the other type, too');

# ---- over a foreign table ----

is(sql("CREATE SERVER s FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '$file');
	IMPORT FOREIGN SCHEMA main FROM SERVER s INTO public OPTIONS (vector_type 'vector');
	SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'items'::regclass AND attname = 'embedding'"),
	'vector(3)', 'imported with its type');
for my $case ([ '<->', 'vss_l2' ], [ '<=>', 'vss_cosine' ])
{
	my ($operator, $index) = @$case;
	my $query = "SELECT id, embedding $operator '[40.2,3,5]' AS distance FROM items ORDER BY distance LIMIT 5";
	my $plan = sql("EXPLAIN (VERBOSE, COSTS OFF) $query");

	like($plan, qr/Index: $index\n/, "$operator asks the index");
	like($plan, qr/SQLite SQL: SELECT k\.rowid, k\.distance, k\.rowid FROM "main"\."$index"\(/, "$operator: the distance shown is the index's, no row is read");
	is(sql($query), sql("WITH copy AS MATERIALIZED (SELECT id, embedding FROM items) SELECT id, embedding $operator '[40.2,3,5]' AS distance FROM copy ORDER BY distance LIMIT 5"),
		"$operator: as over a copy");
}
is(sql("SELECT rowid FROM vss_knn('vss_l2', '[7,0,5]'::vector, 1)"), '7', 'vss_knn takes a value of the type');
is(sql("INSERT INTO items VALUES (1000, 'new', '[0,100,0]'); UPDATE items SET embedding = embedding + '[0,1,0]' WHERE id = 1000;
	SELECT id, embedding FROM items ORDER BY embedding <-> '[0,100,0]' LIMIT 1"), '1000|[0,101,0]', 'written');

# ---- dump and restore ----

my $dump = "$dir/dump.sql";
$node->command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('postgres') ], 'dumped');
$node->safe_psql('postgres', 'CREATE DATABASE again');
is($node->psql('again', "\\set ON_ERROR_STOP on\n\\i $dump"), 0, 'restored');
is($node->safe_psql('again', "SET search_path = public, v; SELECT id FROM local ORDER BY embedding <-> '[3,3,3]' LIMIT 1; SELECT id FROM items ORDER BY embedding <-> '[7,0,5]' LIMIT 1"), "1\n7", 'and asked');

# ---- for programs that say CREATE EXTENSION vector ----

like(sql('CREATE EXTENSION IF NOT EXISTS vector'), qr/extension "vector" is not available|could not open extension control file/, 'there is no pgvector');
my @install = ('make', '-s', '-C', $root, 'install-as-vector', "PG_CONFIG=$ENV{PG_CONFIG}", "datadir=$dir/pg" . pg_config('--sharedir'));
command_ok(\@install, 'make install-as-vector');
is(sql("DROP EXTENSION vss_pgvector CASCADE; CREATE EXTENSION IF NOT EXISTS vector CASCADE SCHEMA v; CREATE EXTENSION IF NOT EXISTS vector; SELECT '[1,2]'::vector <-> '[1,2]'"), '0', 'created under that name');
is(sql("IMPORT FOREIGN SCHEMA main LIMIT TO (vss_cosine) FROM SERVER s INTO v OPTIONS (vector_type 'vector');
	SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'v.vss_cosine'::regclass AND attname = 'embedding'"), 'vector(3)', 'and imported');
append_to_file("$extensions/vector.control", "# somebody else's\n");
command_fails(\@install, 'another extension of that name is not overwritten');
done_testing();
