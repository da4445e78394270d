# What people make with the extension survives pg_dump and restore: foreign
# tables, columns, defaults, constraints and views that use vectors.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('dump');
$node->init;
$node->start;

my $database = PostgreSQL::Test::Utils::tempdir . '/docs.db';
system_or_bail('sqlite3', $database, 'PRAGMA journal_mode = wal; CREATE TABLE t(x)');

$node->safe_psql('postgres', qq{
	CREATE EXTENSION vss_fdw;
	CREATE SERVER docs FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '$database', busy_timeout '1234');
	SELECT vss_exec('docs', 'CREATE TABLE documents(id INTEGER PRIMARY KEY, content TEXT NOT NULL, embedding BLOB);
		CREATE VIRTUAL TABLE vss USING hnsw(dim = 2, metric = l2, content = documents, content_rowid = id, content_vector = embedding);
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50)
		INSERT INTO documents SELECT i, ''document '' || i, vector(''['' || i || '',0]'') FROM n');
	CREATE SCHEMA docs;
	IMPORT FOREIGN SCHEMA main FROM SERVER docs INTO docs;
	CREATE TABLE queries(id int PRIMARY KEY, q vss_vector(2) NOT NULL DEFAULT '[0,0]' CHECK (vss_norm(q) < 1000));
	INSERT INTO queries VALUES (1, '[7.25,0]'), (2, '[0.1,1e-30]'), (3, DEFAULT);
	CREATE INDEX ON queries (q);
	CREATE VIEW nearest AS SELECT q.id, n.id AS document, n.distance FROM queries q CROSS JOIN LATERAL
		(SELECT id, embedding <-> q.q AS distance FROM docs.documents ORDER BY embedding <-> q.q LIMIT 2) n;
	CREATE VIEW rowset AS SELECT k.* FROM vss_knn('docs.vss', '[3,0]', 3) k;
	CREATE VIEW predicate AS SELECT id FROM docs.documents WHERE vss_knn(embedding, '[3.25,0]', 2);
	CREATE VIEW arithmetic AS SELECT id, q + q AS twice, q = '[0,0]' AS zero FROM queries;
	CREATE MATERIALIZED VIEW centre AS SELECT avg(q), sum(q) FROM queries;
	GRANT EXECUTE ON FUNCTION vss_merge(regclass) TO PUBLIC;
});

my $questions = q{
	SELECT * FROM nearest ORDER BY 1, 2;
	SELECT * FROM rowset ORDER BY distance, rowid;
	SELECT * FROM predicate ORDER BY 1;
	SELECT * FROM arithmetic ORDER BY 1;
	SELECT * FROM centre;
	SELECT id, vss_vector_send(q) FROM queries ORDER BY 1;
	SELECT option FROM pg_foreign_server, unnest(srvoptions) option ORDER BY 1;
	SELECT has_function_privilege('public', 'vss_merge(regclass)', 'EXECUTE'),
		has_function_privilege('public', 'vss_exec(text, text)', 'EXECUTE');
};
my $before = $node->safe_psql('postgres', $questions);
like($before, qr/^1\|7\|0.25$/m, 'the views answer');

my $dump = PostgreSQL::Test::Utils::tempdir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-d', $node->connstr('postgres'), '-f', $dump ], 'pg_dump');
unlike(slurp_file($dump), qr/CREATE (FUNCTION|OPERATOR|TYPE)/, 'the objects of the extension are not dumped');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('restored'), '-f', $dump ], 'restore');
is($node->safe_psql('restored', $questions), $before, 'everything answers as before');

$node->safe_psql('restored', 'DROP EXTENSION vss_fdw CASCADE');
is($node->safe_psql('restored', q{SELECT count(*) FROM pg_class WHERE relkind = 'f'}), 0, 'DROP EXTENSION takes all along');
$node->safe_psql('restored', 'CREATE EXTENSION vss_fdw; CREATE TABLE again (v vss_vector); INSERT INTO again VALUES (ARRAY[1,2])');
is($node->safe_psql('restored', q{SELECT v <-> '[4,6]' FROM again}), 5, 'and it can be created again');

$node->stop;
done_testing();
