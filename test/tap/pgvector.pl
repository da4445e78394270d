# With pgvector: its type and its operators over foreign tables give what they
# give over a local copy of the rows, distances to the last digit, and the index
# is asked; and the two extensions do not disturb each other.
#
# The real extension where the server has it (vector.control in its folder of
# extensions), else the stand-in of test/pgvector, installed into a private copy
# of the server's folders.  VSS_PGVECTOR=standin takes the stand-in in any case.
use strict;
use warnings;
use Cwd qw(abs_path getcwd);
use File::Basename qw(dirname);
use File::Copy qw(copy);
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $here = abs_path(dirname(__FILE__));
my $root = getcwd();
my $dir = PostgreSQL::Test::Utils::tempdir();

# ---- the server ----

sub pg_config { chomp(my $answer = `$ENV{PG_CONFIG} $_[0]`); return $answer }
$ENV{PG_CONFIG} ||= 'pg_config';

my $real = ($ENV{VSS_PGVECTOR} // '') ne 'standin' && -e pg_config('--sharedir') . '/extension/vector.control';
my $node;
if ($real)
{
	$node = PostgreSQL::Test::Cluster->new('pgvector');
}
else
{
	my $bin = pg_config('--bindir');

	system_or_bail('bash', '-c', '. "$1"; RUN=$2; private_tree "$3"; trap - EXIT', 'bash', "$here/../../scripts/cluster.sh",
		$dir, -x "$bin/pg_config" ? "$bin/pg_config" : $ENV{PG_CONFIG});
	my $extensions = "$dir/pg" . pg_config('--sharedir') . '/extension';
	# links to the server's own files, which must not be written through
	unlink "$extensions/vector.control", "$extensions/vector--standin.sql";
	copy("$here/../pgvector/vector--standin.sql", $extensions) or die "$extensions: $!";
	append_to_file("$extensions/vector.control", "comment = 'stand-in for pgvector'\ndefault_version = 'standin'\nrelocatable = false\n");
	$node = PostgreSQL::Test::Cluster->new('pgvector', install_path => dirname("$dir/pg$bin"));
}
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\njit = off\nmax_prepared_transactions = 0\n");
$node->start;
note($real ? 'the real pgvector: ' : 'no pgvector in this server, so the stand-in: ',
	$node->safe_psql('postgres', q{SELECT default_version FROM pg_available_extensions WHERE name = 'vector'}));

# What psql prints of it, tuples only; of an error the message.
sub sql
{
	my ($database, $sql) = @_;
	my ($status, $out, $err) = $node->psql($database, $sql);
	$err =~ s/^psql:<stdin>:\d+: //mg;
	return $status == 0 ? $out : "FAILED: $err";
}

# ---- rows ----

my $dim = 8;
my $random = 42;

# The numbers are those of the sequence on every machine, with digits that round.
sub vector
{
	return '[' . join(',', map { $random = ($random * 1103515245 + 12345) % 2147483648; $random / 1073741824 - 1 } 1 .. $dim) . ']';
}

# A database of 2,000 rows with an index for each metric.
sub make_file
{
	my ($file) = @_;
	my $rows = join ",\n", map { "($_, 'document $_', '" . ('de', 'en', 'fr')[ $_ % 3 ] . "', vector('" . vector() . "'))" } 1 .. 2000;
	my $indexes = join "\n", map {
		my ($table, $metric) = @$_;
		"CREATE VIRTUAL TABLE vss_${table}_$metric USING hnsw(dim=$dim, metric=$metric, content=$table, content_rowid=id, content_vector=embedding);
		SELECT hnsw_save('vss_${table}_$metric');"
	} [ 'documents', 'cosine' ], [ 'documents', 'l2' ], [ 'documents', 'ip' ], [ 'texts', 'cosine' ];

	IPC::Run::run([ 'sqlite3', '-bail', $file ], '<', \".load $root/hnsw
		CREATE TABLE documents(id INTEGER PRIMARY KEY, content TEXT NOT NULL, lang TEXT, embedding BLOB);
		CREATE TABLE texts(id INTEGER PRIMARY KEY, embedding TEXT);
		CREATE TABLE notes(id INTEGER PRIMARY KEY, content TEXT, embedding TEXT);
		INSERT INTO notes(content) VALUES ('one'), ('two'), ('three');
		BEGIN; INSERT INTO documents VALUES $rows; COMMIT;
		INSERT INTO texts SELECT id, vector_json(embedding) FROM documents WHERE id <= 500;
		$indexes
	", '>', '/dev/null') or die 'sqlite3 failed';
	return $file;
}
make_file("$dir/docs.db");

# ---- both extensions in one schema, pgvector first ----

my $db = 'postgres';
$node->safe_psql($db, "CREATE EXTENSION vss_fdw; CREATE SERVER docs FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '$dir/docs.db')");
like(sql($db, q{IMPORT FOREIGN SCHEMA main FROM SERVER docs INTO public OPTIONS (vector_type 'vector')}),
	qr/needs the extension pgvector/, 'without the extension its type cannot be imported');
# the session that knows of no pgvector learns of it
is(sql($db, q{SELECT count(*) FROM pg_extension WHERE extname = 'vector';
	DROP EXTENSION vss_fdw CASCADE;
	CREATE EXTENSION vector; CREATE EXTENSION vss_fdw;
	} . "CREATE SERVER docs FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '$dir/docs.db');" . q{
	IMPORT FOREIGN SCHEMA main FROM SERVER docs INTO public OPTIONS (vector_type 'vector');
	SELECT attrelid::regclass, format_type(atttypid, atttypmod) FROM pg_attribute
		WHERE attname = 'embedding' AND attrelid IN ('documents'::regclass, 'texts'::regclass, 'vss_documents_l2'::regclass) ORDER BY 1::text}),
	"0\ndocuments|vector($dim)\ntexts|vector($dim)\nvss_documents_l2|vector($dim)", 'imported with its type');

$node->safe_psql($db, qq{
	CREATE TABLE local_documents AS SELECT * FROM documents;
	CREATE TABLE local_texts AS SELECT * FROM texts;
	CREATE TABLE queries(id int, q vector($dim));
	INSERT INTO queries VALUES } . join(', ', map { "($_, '" . vector() . "')" } 1 .. 12) . qq{;
	ALTER DATABASE $db SET vss_fdw.ef_search = 400;
});
chomp(my @query = split /\n/, $node->safe_psql($db, 'SELECT q FROM queries ORDER BY id'));

# A query over foreign tables (by name) and over their local copies.
sub copies
{
	my ($sql) = @_;
	$sql =~ s/\b(documents|texts)\b/local_$1/g;
	return $sql;
}

# Whether the answers are equal, and the plan says what it should.
sub equal_answers
{
	my ($title, $sql, $plan, @setup) = @_;
	my $before = join '', map { "$_;\n" } @setup;
	my $foreign = sql($db, "$before$sql");
	my $local = sql($db, copies("$before$sql"));

	is($foreign, $local, "$title: as over the copy");
	isnt($foreign, '', "$title: and not nothing");
	like(sql($db, "${before}EXPLAIN (VERBOSE, COSTS OFF) $sql"), $plan, "$title: plan") if defined $plan;
	return $foreign;
}

my %metric = ('<=>' => 'cosine', '<->' => 'l2', '<#>' => 'ip');
for my $op (sort keys %metric)
{
	my $index = qr/Index: vss_documents_$metric{$op}\n/;
	my (@foreign, $indexed);

	for my $what ('id', "id, embedding $op %s AS distance", "id, 1 - (embedding $op %s)", "content, embedding")
	{
		my $list = join ";\n", map { sprintf("SELECT $what FROM documents ORDER BY embedding $op %s LIMIT 10", ("'$_'") x ($what =~ tr/%// + 1)) } @query;

		push @foreign, $list;
	}
	# all four at once: 48 queries
	equal_answers("$op", join(";\n", @foreign), undef);
	like(sql($db, "EXPLAIN (COSTS OFF) SELECT id FROM documents ORDER BY embedding $op '$query[0]' LIMIT 10"), $index, "$op: the index");
	like(sql($db, "EXPLAIN (COSTS OFF) SELECT id, embedding $op '$query[0]' FROM documents ORDER BY 2 LIMIT 10"), $index, "$op: also with the distance shown");
}
unlike(sql($db, "EXPLAIN (COSTS OFF) SELECT id FROM documents ORDER BY embedding <=> '$query[0]' LIMIT 10"),
	qr/"documents"/, 'where the distance is not shown the index is asked alone');

# ---- whose numbers ----

# The index measures in double precision.  If the operator gave its numbers,
# all of this would prove nothing.
my $differ = sql($db, qq{SELECT count(*) FROM documents d JOIN vss_knn('vss_documents_cosine', '$query[0]', 10) k ON k.rowid = d.id
	WHERE d.embedding <=> '$query[0]' <> k.distance});
cmp_ok($differ, '>', 0, "the operator's distances are not the index's to the last digit");

equal_answers('a bound with an order', "SELECT id, embedding $_ '$query[1]' FROM documents WHERE embedding $_ '$query[1]' < 0.9 ORDER BY embedding $_ '$query[1]' LIMIT 20",
	qr/Index: /) for '<=>', '<->', '<#>';
equal_answers('a condition on the similarity', "SELECT id, 1 - (embedding <=> '$query[1]') FROM documents WHERE 1 - (embedding <=> '$query[1]') > 0.5 ORDER BY embedding <=> '$query[1]' LIMIT 20", qr/Index: /);

# A bound that is exactly a row's distance by the operator: the index's may be
# beyond it by a rounding.  At each of 40 rows, with order and without.
for my $op ('<=>', '<->')
{
	my $wrong = sql($db, qq{
		CREATE TEMP TABLE wrong(place int);
		BEGIN; ALTER SERVER docs OPTIONS (ADD fdw_tuple_cost '10');
		DO \$\$
		DECLARE bound float8; ordered int; plain int;
		BEGIN
			FOR i IN 1..40 LOOP
				SELECT d INTO bound FROM (SELECT embedding $op '$query[2]' AS d FROM local_documents) x ORDER BY d OFFSET i - 1 LIMIT 1;
				EXECUTE format('SELECT count(*) FROM (SELECT id FROM documents WHERE embedding $op %L <= %s ORDER BY embedding $op %L LIMIT 100) x',
					'$query[2]', bound, '$query[2]') INTO ordered;
				EXECUTE format('SELECT count(*) FROM documents WHERE embedding $op %L <= %s', '$query[2]', bound) INTO plain;
				IF ordered <> i OR plain <> i THEN INSERT INTO wrong VALUES (i); END IF;
			END LOOP;
		END \$\$;
		SELECT count(*) FROM wrong});
	is($wrong, 0, "$op: a bound leaves out no row that the operator admits");
}
# Rows within a distance and no order: measured in the index where fetching rows is dear.
my $dear = "ALTER SERVER docs OPTIONS (ADD fdw_tuple_cost '10')";
for my $case ([ '<=>', 0.5 ], [ '<->', 1.3 ])
{
	my ($op, $bound) = @$case;

	equal_answers("a bound without an order, $op", "SELECT x.* FROM (SELECT id, embedding $op '$query[3]' FROM documents WHERE embedding $op '$query[3]' < $bound OFFSET 0) x ORDER BY id",
		qr/Filter: .*$op.*Index: /s, 'BEGIN', $dear);
}
unlike(sql($db, "BEGIN; $dear; EXPLAIN (COSTS OFF) SELECT id FROM documents WHERE embedding <#> '$query[3]' < -1"), qr/Index: /, 'an inner product has no bound for all rows');
equal_answers('WITH TIES', "SELECT id FROM documents ORDER BY embedding <=> '$query[3]' FETCH FIRST 5 ROWS WITH TIES", qr/"documents"/);
equal_answers('vss_fdw.knn_strategy = exact', "SELECT id, embedding <=> '$query[3]' FROM documents ORDER BY embedding <=> '$query[3]' LIMIT 50", qr/Index: /, 'SET vss_fdw.knn_strategy = exact');

# ---- the ways to say the query ----

my $nearest = 'SELECT id, embedding <=> $1 FROM documents ORDER BY embedding <=> $1 LIMIT 5';
for my $mode ('force_generic_plan', 'force_custom_plan')
{
	equal_answers("prepared, $mode", "EXECUTE near('$query[4]')", qr/Index: vss_documents_cosine\n/, "SET plan_cache_mode = $mode", "PREPARE near AS $nearest");
	equal_answers("prepared, $mode, typed", "EXECUTE near('$query[4]')", qr/Index: vss_documents_cosine\n/, "SET plan_cache_mode = $mode", "PREPARE near(vector) AS $nearest");
	equal_answers("prepared, $mode, limit", "EXECUTE near('$query[4]', 3)", qr/Index: vss_documents_cosine\n/, "SET plan_cache_mode = $mode",
		'PREPARE near(vector, bigint) AS SELECT id FROM documents ORDER BY embedding <=> $1 LIMIT $2');
}
equal_answers('a subquery', 'SELECT id FROM documents ORDER BY embedding <-> (SELECT q FROM queries WHERE id = 5) LIMIT 5', qr/Index: vss_documents_l2\n/);
equal_answers('LATERAL', 'SELECT q.id, n.id, n.d FROM queries q CROSS JOIN LATERAL
	(SELECT id, embedding <=> q.q AS d FROM documents ORDER BY embedding <=> q.q LIMIT 3) n ORDER BY 1, 3', qr/Index: vss_documents_cosine\n/);
equal_answers('an array, cast', 'SELECT id FROM documents ORDER BY embedding <-> ARRAY[1,2,3,4,5,6,7,8]::vector LIMIT 5', qr/Index: /);
equal_answers('the operands turned', "SELECT id FROM documents ORDER BY '$query[5]' <-> embedding LIMIT 5", qr/Index: /);
equal_answers('text in SQLite', "SELECT id, embedding <=> '$query[5]' FROM texts ORDER BY embedding <=> '$query[5]' LIMIT 5", qr/Index: vss_texts_cosine\n/);
equal_answers('a condition', "SELECT id, embedding <=> '$query[5]' FROM documents WHERE lang <> 'en' ORDER BY embedding <=> '$query[5]' LIMIT 5", qr/Index: /);
equal_answers('a join', "SELECT d.id, d.embedding <=> '$query[6]' FROM documents d JOIN queries o ON o.id = d.id % 40 WHERE o.id > 3 ORDER BY d.embedding <=> '$query[6]' LIMIT 5", qr/Index: /);
equal_answers('no limit', "SELECT id FROM documents WHERE id < 9 ORDER BY embedding <=> '$query[6]'", undef);
equal_answers('an aggregate over it', "SELECT min(embedding <=> '$query[6]'), count(DISTINCT embedding) FROM documents", undef);
equal_answers('a window', "SELECT id, row_number() OVER (ORDER BY embedding <=> '$query[6]') FROM documents ORDER BY 2 LIMIT 3", undef);
is(sql($db, "BEGIN; DECLARE c CURSOR FOR SELECT id FROM documents ORDER BY embedding <=> '$query[7]'; FETCH 4 FROM c"),
	sql($db, "SELECT id FROM local_documents ORDER BY embedding <=> '$query[7]' LIMIT 4"), 'a cursor');

# Partitions: one here, one there, merged by distances of one operator.
is(sql($db, qq{
	BEGIN;
	CREATE TABLE parts(id bigint, content text NOT NULL, lang text, embedding vector($dim)) PARTITION BY RANGE (id);
	CREATE TABLE near PARTITION OF parts FOR VALUES FROM (1001) TO (3000);
	INSERT INTO near SELECT * FROM local_documents WHERE id > 1000;
	DELETE FROM documents WHERE id > 1000;
	ALTER TABLE parts ATTACH PARTITION documents FOR VALUES FROM (0) TO (1001);
	} . join(";\n", map { "SELECT id, embedding <=> '$_' FROM parts ORDER BY embedding <=> '$_' LIMIT 10" } @query) . "; ROLLBACK"),
	sql($db, join ";\n", map { "SELECT id, embedding <=> '$_' FROM local_documents ORDER BY embedding <=> '$_' LIMIT 10" } @query), 'partitions');

# ---- what is not the index's ----

for my $aggregate ('avg(embedding)', 'sum(embedding)', 'count(embedding)', 'avg(embedding), lang')
{
	equal_answers($aggregate, "SELECT $aggregate FROM documents" . ($aggregate =~ /lang/ ? ' GROUP BY lang ORDER BY lang' : ''),
		$aggregate =~ /count/ ? undef : qr/Output: .*(avg|sum)\(.*Foreign Scan/s);
}
equal_answers('equality', "SELECT a.id FROM documents a WHERE embedding = (SELECT embedding FROM texts WHERE id = 7)", undef);
equal_answers('comparison', "SELECT count(*) FROM documents a WHERE embedding > '$query[0]'", undef);
equal_answers('DISTINCT', "SELECT DISTINCT embedding FROM documents WHERE id < 4", undef);
equal_answers('expressions', "SELECT id, vector_dims(embedding), embedding + embedding, embedding::real[] FROM documents WHERE id < 4 ORDER BY id", undef);

# ---- errors ----

like(sql($db, "SELECT id FROM documents ORDER BY embedding <=> '[1,2,3]' LIMIT 5"), qr/query vector has 3 dimensions, the index has 8/, 'a query of other dimensions');
like(sql($db, "INSERT INTO documents(id, content, embedding) VALUES (9000, 'short', '[1,2,3]')"), qr/expected .*8 dimensions, not 3/, 'a value of other dimensions');
like(sql($db, "UPDATE documents SET embedding = '[1,2,3]' WHERE id = 1"), qr/expected .*8 dimensions, not 3/, 'an update of other dimensions');
like(sql($db, qq{BEGIN; CREATE FOREIGN TABLE three(id bigint, embedding vector(3)) SERVER docs OPTIONS ("table" 'documents'); SELECT * FROM three LIMIT 1}),
	qr/does not fit type vector\(3\): it has 8 dimensions.*HINT: .*with the dimensions that its vectors have/s, 'a column declared with other dimensions');

# ---- writing ----

my $bits = '[1,-2.5,3e-30,4,5,6,7,0.1]';
is(sql($db, qq{
	INSERT INTO documents(id, content, embedding) VALUES (9001, 'a', '$bits'), (9002, 'b', ARRAY[1,2,3,4,5,6,7,8]::real[]), (9003, 'none', NULL), (9004, 'zero', '[0,0,0,0,0,0,0,0]');
	INSERT INTO texts VALUES (9001, '$bits') RETURNING embedding;
	UPDATE documents SET embedding = '[8,7,6,5,4,3,2,1]' WHERE id = 9002 RETURNING embedding;
	UPDATE documents SET embedding = embedding + embedding WHERE id = 9002 RETURNING embedding;
	SELECT embedding = '$bits' FROM documents WHERE id = 9001;
	SELECT id, embedding <=> '$bits' FROM documents WHERE id > 9000 ORDER BY embedding <=> '$bits' LIMIT 4}),
	"$bits\n[8,7,6,5,4,3,2,1]\n[16,14,12,10,8,6,4,2]\nt\n9001|0\n9002|" . sql($db, qq{SELECT '[16,14,12,10,8,6,4,2]'::vector <=> '$bits'}) . "\n9004|NaN\n9003|",
	'insert, update, and the nearest at once; no direction and no vector last');
my ($stored) = IPC::Run::run([ 'sqlite3', "$dir/docs.db", q{SELECT typeof(embedding), length(embedding) FROM documents WHERE id IN (9001, 9003); SELECT typeof(embedding) FROM texts WHERE id = 9001} ], '>', \my $kinds);
is($kinds, "blob|32\nnull|\ntext\n", 'stored in the column\'s form');
for my $format ('binary', 'text')
{
	is(sql($db, qq{
		COPY (SELECT id, content, embedding FROM documents WHERE id > 9000) TO '$dir/copy' (FORMAT $format);
		DELETE FROM documents WHERE id > 9000;
		COPY documents(id, content, embedding) FROM '$dir/copy' (FORMAT $format);
		SELECT id, content, embedding FROM documents WHERE id > 9000 ORDER BY id}),
		"9001|a|$bits\n9002|b|[16,14,12,10,8,6,4,2]\n9003|none|\n9004|zero|[0,0,0,0,0,0,0,0]", "COPY, $format, out and in");
}
is(sql($db, "DELETE FROM documents WHERE id > 9000; DELETE FROM texts WHERE id > 9000; SELECT count(*) FROM documents"), 2000, 'delete');
is(sql($db, q{SELECT vss_create_index('texts', 'embedding', 'l2', index_name => 'made')}) . sql($db, q{
	SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'made'::regclass AND attname = 'embedding'}),
	"madevector($dim)", 'the index that vss_create_index makes has the column\'s type');

# arrays of vectors: nested JSON arrays, or texts
for my $type ('vector', 'vss_vector')
{
	is(sql($db, qq{BEGIN;
		SELECT vss_exec('docs', 'CREATE TABLE lists(id INTEGER PRIMARY KEY, v TEXT);
			INSERT INTO lists VALUES (1, ''[[1,2.5],[3,-4e-3]]''), (2, ''["[1,2]",null]''), (3, ''[[[1,2],[3,4]],[[5,6],[7,8]]]''), (4, ''[]'')');
		CREATE FOREIGN TABLE lists(id bigint OPTIONS (key 'true'), v $type\[]) SERVER docs;
		SELECT v, array_ndims(v) FROM lists ORDER BY id;
		INSERT INTO lists VALUES (5, ARRAY['[1,2]', NULL, '[3,1e-9]']::$type\[]);
		SELECT v FROM lists WHERE id = 5;
		ROLLBACK}), qq(4\n{"[1,2.5]","[3,-0.004]"}|1\n{"[1,2]",NULL}|1\n{{"[1,2]","[3,4]"},{"[5,6]","[7,8]"}}|2\n{}|\n{"[1,2]",NULL,"[3,1e-09]"}),
		"an array of $type");
}

# ---- an embedding server fills a column of the type ----

my $server = IPC::Run::start([ $^X, "$here/../embed/server.pl", "$dir/port", '300' ]);
for (1 .. 100) { last if -s "$dir/port"; sleep 0.1 }
chomp(my $port = slurp_file("$dir/port"));
is(sql($db, qq{ALTER SERVER docs OPTIONS (ADD embed_url 'http://127.0.0.1:$port', ADD embed_model 'test-8');
	CREATE FOREIGN TABLE typed_notes(id bigint OPTIONS (key 'true'), content text, embedding vector(8)) SERVER docs OPTIONS ("table" 'notes');})
	. sql($db, q{CALL vss_embed_table('typed_notes', 'content', 'embedding')}) . ';'
	. sql($db, q{SELECT count(*) FROM typed_notes WHERE vector_dims(embedding) = 8}), '3|0;3', 'vss_embed_table');

# ---- casts, and what they make possible ----

my $arrays = q{SELECT ARRAY[1,2] = ARRAY[1,2], ARRAY[1,2] < '{2,3}', '{1,2}' = ARRAY[1,2], ARRAY[1.5::real] || ARRAY[2::real],
	'[1,2]'::vector = '[1,2]', '[1,2]'::vss_vector = '[1,2]', '[1,2]'::vector + '[1,2]', '[1,2]'::vss_vector + '[1,2]',
	'(0,0)'::point <-> '(3,4)', ARRAY[1,2] <-> '[4,6]'::vss_vector, '[1,2]'::vector <-> '[4,6]'};
my $meanings = "t|t|t|{1.5,2}|t|t|[2,4]|[2,4]|5|5|5";
is(sql($db, $arrays), $meanings, 'arrays, points and vectors mean what they meant');
like(sql($db, "SELECT id FROM texts WHERE vss_knn(embedding, '$query[8]', 5)"), qr/function vss_knn\(vector, unknown, integer\) does not exist/, 'vss_knn needs casts');
$node->safe_psql($db, 'CREATE CAST (vector AS vss_vector) WITHOUT FUNCTION AS IMPLICIT; CREATE CAST (vss_vector AS vector) WITHOUT FUNCTION AS ASSIGNMENT; DROP FOREIGN TABLE made');
$node->safe_psql($db, q{SELECT vss_exec('docs', 'DROP TABLE made')});
is(sql($db, $arrays), $meanings, 'with casts between them, too');
my $five = sql($db, "SELECT id FROM local_texts ORDER BY embedding <=> '$query[8]' LIMIT 5");
is(sql($db, "SELECT id FROM texts WHERE vss_knn(embedding, '$query[8]', 5) ORDER BY embedding <=> '$query[8]'"), $five, 'vss_knn, a condition on a column of the type');
is(sql($db, "SELECT rowid FROM vss_knn('texts', '$query[8]'::vector, 5)"), $five, 'vss_knn, rows, asked with a value of the type');
is(sql($db, "SELECT id FROM texts ORDER BY embedding <=> '$query[8]'::vss_vector LIMIT 5"), $five, 'our operator, one side each');
is(sql($db, "SELECT id FROM texts ORDER BY embedding <=> ARRAY" . $query[8] . "::real[] LIMIT 5"), $five, 'our operator, an array');
equal_answers('the vector of a text', "SELECT id FROM texts ORDER BY embedding <=> vss_embed('one', 'docs') LIMIT 5", qr/Index: vss_texts_cosine\n/);
$server->kill_kill;
is(sql($db, "SELECT '[1,2]'::vector::vss_vector, '[1,2]'::vss_vector::vector, '[1,2]'::vector::text, '[1,2]'::vector::vss_vector(2)"), '[1,2]|[1,2]|[1,2]|[1,2]', 'the casts');
like(sql($db, "SELECT '[1,2]'::vector::vss_vector(3)"), qr/expected 3 dimensions, not 2/, 'a cast to other dimensions');
is(sql($db, "BEGIN; CREATE SCHEMA s; CREATE DOMAIN d8 AS vector(8);
	CREATE FOREIGN TABLE s.one(id bigint, embedding d8) SERVER docs OPTIONS (\"table\" 'texts'); SET LOCAL search_path = s, public;
	DROP FOREIGN TABLE " . join(', ', map { "vss_$_" } qw(documents_cosine documents_l2 documents_ip texts_cosine)) . ", documents, texts;
	SELECT rowid FROM vss_knn('$query[8]', 5)"), $five, 'vss_knn without a name finds a column of a domain over the type');

# ---- dump and restore ----

my $asked = "SELECT id, embedding <=> '$query[9]' FROM documents ORDER BY embedding <=> '$query[9]' LIMIT 5; SELECT rowid FROM vss_knn('texts', '$query[8]'::vector, 5)";
$node->safe_psql($db, "CREATE VIEW seen AS SELECT id, embedding <=> '$query[9]' AS d FROM documents ORDER BY 2 LIMIT 5");
$node->command_ok([ 'pg_dump', '-d', $node->connstr($db), '-f', "$dir/dump.sql" ], 'pg_dump');
$node->safe_psql($db, "CREATE DATABASE restored; ALTER DATABASE restored SET vss_fdw.ef_search = 400");
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('restored'), '-f', "$dir/dump.sql" ], 'restore');
is(sql('restored', "$asked; SELECT * FROM seen"), sql($db, "$asked; SELECT * FROM seen"), 'types, casts and views survive');

# ---- the extension goes, comes back, lies elsewhere ----

my $held = "PREPARE held AS SELECT id FROM documents ORDER BY embedding <=> '$query[9]' LIMIT 2; EXECUTE held; ";
my $two = sql('restored', "SELECT id FROM documents ORDER BY embedding <=> '$query[9]' LIMIT 2");
is(sql('restored', "SET client_min_messages = error; ${held}BEGIN; DROP EXTENSION vector CASCADE; ROLLBACK; EXECUTE held"), "$two\n$two", 'a cached plan outlives a removal that is rolled back');
like(sql('restored', "SET client_min_messages = error; ${held}DROP EXTENSION vector CASCADE; EXECUTE held"), qr/column "embedding" does not exist/, 'and ends with the type');
is(sql('restored', qq{
	SET client_min_messages = error;
	SELECT count(*) FROM vss_documents_l2;
	CREATE SCHEMA elsewhere; CREATE EXTENSION vector SCHEMA elsewhere;
	CREATE SCHEMA again; IMPORT FOREIGN SCHEMA main FROM SERVER docs INTO again OPTIONS (vector_type 'vector');
	SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'again.documents'::regclass AND attname = 'embedding';
	SELECT id FROM again.documents ORDER BY embedding OPERATOR(elsewhere.<=>) '$query[9]' LIMIT 2}),
	"2000\nelsewhere.vector($dim)\n$two", 'the same session takes the extension that comes anew, in another schema');
like(sql('restored', "EXPLAIN (COSTS OFF) SELECT id FROM again.documents ORDER BY embedding OPERATOR(elsewhere.<=>) '$query[9]' LIMIT 2"),
	qr/Index: vss_documents_cosine\n/, 'and its operators');

my $untyped = $asked =~ s/::vector//r;

# vss_fdw first, each in a schema of its own, both in the path
$node->safe_psql($db, 'CREATE DATABASE apart; ALTER DATABASE apart SET search_path = public, ours, theirs; ALTER DATABASE apart SET vss_fdw.ef_search = 400');
is(sql('apart', "CREATE SCHEMA ours; CREATE SCHEMA theirs; CREATE EXTENSION vss_fdw SCHEMA ours; CREATE EXTENSION vector SCHEMA theirs;
	CREATE SERVER docs FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '$dir/docs.db');
	IMPORT FOREIGN SCHEMA main FROM SERVER docs INTO public OPTIONS (vector_type 'vector');
	$untyped"), sql($db, $asked), 'vss_fdw first, each in its own schema');
is(sql('apart', $arrays), $meanings, 'arrays, points and vectors there');
is(sql('apart', "IMPORT FOREIGN SCHEMA main LIMIT TO (texts) FROM SERVER docs INTO ours;
	SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'ours.texts'::regclass AND attname = 'embedding';
	SELECT id FROM ours.texts ORDER BY embedding <=> '$query[8]' LIMIT 5"), "vss_vector($dim)\n$five", 'our own type beside it');

# ---- what only the real one has ----

if ($real)
{
	is(sql('apart', "ALTER EXTENSION vector SET SCHEMA public; SELECT id FROM documents ORDER BY embedding <=> '$query[9]' LIMIT 2"), $two, 'moved to another schema');
	like(sql('apart', "EXPLAIN (COSTS OFF) SELECT id FROM documents ORDER BY embedding <=> '$query[9]' LIMIT 2"), qr/Index: vss_documents_cosine\n/, 'and its operators with it');
	is(sql($db, qq{
		CREATE FOREIGN TABLE half(id bigint, embedding halfvec(8)) SERVER docs OPTIONS ("table" 'texts');
		SELECT id, embedding <-> '$query[9]' FROM half ORDER BY 2 LIMIT 5}),
		sql($db, "SELECT id, embedding::halfvec <-> '$query[9]' FROM local_texts ORDER BY 2 LIMIT 5"), 'halfvec is read from text and searched here');
	like(sql($db, qq{CREATE FOREIGN TABLE half_blob(id bigint, embedding halfvec(8)) SERVER docs OPTIONS ("table" 'documents'); SELECT * FROM half_blob LIMIT 1}),
		qr/does not fit type halfvec\(8\).*stored as BLOB/s, 'halfvec of a BLOB is an error');
	like(sql($db, qq{CREATE FOREIGN TABLE sparse(id bigint, embedding sparsevec(8)) SERVER docs OPTIONS ("table" 'texts'); SELECT * FROM sparse LIMIT 1}),
		qr/invalid input syntax for type sparsevec.*rowid 1/s, 'sparsevec of a dense vector is an error');
	unlike(sql($db, "EXPLAIN (COSTS OFF) SELECT id FROM documents ORDER BY embedding <+> '$query[9]' LIMIT 5"), qr/Index:/, 'other operators are not the index\'s');
	equal_answers('<+>', "SELECT id, embedding <+> '$query[9]' FROM documents ORDER BY 2 LIMIT 5", undef);
	is(sql($db, qq{
		CREATE INDEX ON local_documents USING hnsw (embedding vector_cosine_ops);
		CREATE TABLE parts(id bigint, content text, lang text, embedding vector($dim)) PARTITION BY RANGE (id);
		CREATE TABLE near (LIKE local_documents); INSERT INTO near SELECT id + 10000, content, lang, embedding FROM local_documents;
		CREATE INDEX ON near USING hnsw (embedding vector_cosine_ops);
		ALTER TABLE parts ATTACH PARTITION near FOR VALUES FROM (10000) TO (20000);
		ALTER TABLE parts ATTACH PARTITION documents FOR VALUES FROM (0) TO (10000);
		SET enable_seqscan = off; SET hnsw.ef_search = 400;
		SELECT array_agg(DISTINCT id % 10000) FROM (SELECT id FROM parts ORDER BY embedding <=> '$query[9]' LIMIT 10) x}),
		sql($db, "SELECT array_agg(id ORDER BY id) FROM (SELECT id FROM documents ORDER BY embedding <=> '$query[9]' LIMIT 5) x"),
		'merged with a partition under its own index');
}

$node->stop;
done_testing();
