# vss_embed and vss_embed_table against a server that fails on request: who may
# call them, how often the server is asked, what is reported, what is kept.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use HTTP::Tiny;
use IPC::Run qw(start);
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $here = abs_path(dirname(__FILE__));
my $dir = PostgreSQL::Test::Utils::tempdir();

# ---- the embedding server ----

my $server = start([ $^X, "$here/../embed/server.pl", "$dir/port", '300' ]);
for (1 .. 100) { last if -s "$dir/port"; sleep 0.1 }
chomp(my $port = slurp_file("$dir/port"));
my $url = "http://127.0.0.1:$port";

sub tell_server
{
	my ($path, $body) = @_;
	my $answer = HTTP::Tiny->new->request(defined $body ? 'POST' : 'GET', "$url$path", { content => $body // '' });
	die "$path: $answer->{status} $answer->{content}" unless $answer->{success};
	return decode_json($answer->{content});
}

sub requests { return @{ tell_server('/log')->{requests} } }

# ---- the database ----

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->start;
system_or_bail('sqlite3', '-cmd', ".load $here/../../hnsw", "$dir/docs.db", q{
	CREATE TABLE documents(id INTEGER PRIMARY KEY, content TEXT, embedding BLOB);
	CREATE VIRTUAL TABLE vss USING hnsw(dim=8, content=documents, content_rowid=id, content_vector=embedding);
	WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
	INSERT INTO documents(content) SELECT 'text ' || i FROM n;
});

sub sql
{
	my ($sql, %options) = @_;
	my ($status, $out, $err) = $node->psql('postgres', $sql, %options);
	return $status == 0 ? $out : "FAILED: $err";
}

sql(qq{
	CREATE EXTENSION vss_fdw;
	CREATE SERVER docs FOREIGN DATA WRAPPER vss_fdw
		OPTIONS (database '$dir/docs.db', embed_url '$url', embed_model 'test-8', embed_retries '1');
	IMPORT FOREIGN SCHEMA main FROM SERVER docs INTO public;
	CREATE ROLE reader LOGIN;
});

# ---- texts to vectors ----

is(sql(q{SELECT vss_dims(vss_embed('hello world')), round(vss_norm(vss_embed('hello world'))::numeric, 5)}),
	'8|1.00000', 'a text becomes a vector of length one');
is(sql(q{SELECT vss_embed(NULL) IS NULL}), 't', 'NULL gives NULL');
is( sql(q{SELECT a[1] = vss_embed('x'), a[2] IS NULL, a[3] = vss_embed('y'), array_length(a, 1)
		FROM (SELECT vss_embed(ARRAY['x', NULL, 'y']) AS a) s}),
	't|t|t|3', 'an array keeps its order and its NULLs');
is(sql(q{SELECT vss_embed('{}'::text[])}), '{}', 'an empty array asks for nothing');
like(sql(q{SELECT vss_embed('')}), qr/an empty text has no embedding/, 'the empty text is refused');
is(sql(q{SELECT vss_embed(E'caf\u00e9 "quoted" \\\\ \n') IS NOT NULL}), 't', 'any text is sent whole');
is(sql(q{SELECT vss_dims(vss_embed(repeat('word ', 200000)))}), '8', 'a text of a megabyte');

# ---- how often the server is asked ----

tell_server('/reset', '');
sql(q{SELECT vss_embed(array_agg('text ' || i)) FROM generate_series(1, 150) i});
is(join(',', map { $_->{count} } requests()), '64,64,22', 'an array goes in batches');
is(tell_server('/log')->{connections}, 1, 'over one connection');

tell_server('/reset', '');
my $batches = sql(q{CALL vss_embed_table('documents', 'content', 'embedding', batch => 40)});
is($batches, '100|0', 'vss_embed_table fills every row');
is(join(',', map { $_->{count} } requests()), '40,40,20', 'in batches');
is(sql(q{SELECT count(*) FROM documents WHERE embedding IS NULL}), '0', 'all rows have a vector');
is(sql(q{CALL vss_embed_table('documents', 'content', 'embedding')}), '0|0', 'a second run has nothing to do');

tell_server('/reset', '');
is( sql(q{SELECT id, round((embedding <=> vss_embed('text 42'))::numeric, 4)
		FROM documents ORDER BY embedding <=> vss_embed('text 42') LIMIT 1}),
	'42|0.0000', 'the nearest text is itself');
is(scalar(requests()), 1, 'ORDER BY and the select list ask once');
tell_server('/reset', '');
is(sql(q{SELECT id FROM documents WHERE vss_knn(embedding, vss_embed('text 7'), 1)}), '7', 'in the predicate vss_knn');
is(scalar(requests()), 1, 'which asks once');
tell_server('/reset', '');
is(sql(q{SELECT rowid FROM vss_knn('vss', vss_embed('text 9'), 1)}), '9', 'in the rowset vss_knn');
is(scalar(requests()), 1, 'which asks once');
tell_server('/reset', '');
is(sql(q{SET enable_seqscan = off; SELECT count(*) FROM generate_series(1, 500) WHERE vss_embed('the same') IS NOT NULL}),
	'500', 'for every row of a join');
is(scalar(requests()), 1, 'the same text is asked for once a statement');

sql(q{INSERT INTO documents(content, embedding) SELECT c, vss_embed(c) FROM (VALUES ('new one'), ('new two')) v(c)});
is(sql(q{SELECT content FROM documents ORDER BY embedding <=> vss_embed('new two') LIMIT 1}),
	'new two', 'rows inserted with their embedding are found');

# ---- failures ----

like(sql(q{SELECT vss_embed('x', 'nowhere')}), qr/server "nowhere" does not exist/, 'an unknown server');
tell_server('/control', '{"mode":"status","status":500,"text":"out of cheese"}');
like(sql(q{SELECT vss_embed('x')}), qr{\Q$url\E/api/embed answered 500 for model "test-8": out of cheese \(tried 2 times\)},
	'an error names URL, model, status and the reason');
tell_server('/reset', '');
sql(q{ALTER SERVER docs OPTIONS (SET embed_model 'missing')});
like(sql(q{SELECT vss_embed('x')}), qr/HINT:.*ollama pull missing/, 'a missing model comes with the remedy');
sql(q{ALTER SERVER docs OPTIONS (SET embed_model 'test-8')});
like(sql(q{ALTER SERVER docs OPTIONS (SET embed_url 'ftp://x')}), qr/must be an http or https URL/, 'a bad URL is refused by DDL');
like(sql(q{ALTER SERVER docs OPTIONS (ADD embed_api 'x')}), qr/Use ollama or openai/, 'a bad API, too');

for my $wait ([ '{"mode":"delay","seconds":30}', 'a silent server' ], [ '{"mode":"drip"}', 'a slow body' ],
	[ '{"mode":"status","status":503,"retry_after":20}', 'the wait for a retry' ])
{
	tell_server('/control', $wait->[0]);
	like(sql(q{SET statement_timeout = 300; SELECT vss_embed('x')}), qr/statement timeout/, "$wait->[1] is cancelled");
}
tell_server('/reset', '');

# ---- who may ----

like(sql(q{SELECT vss_embed('x')}, connstr => $node->connstr('postgres') . ' user=reader'),
	qr/permission denied for function vss_embed/, 'not for PUBLIC');
sql(q{GRANT EXECUTE ON FUNCTION vss_embed(text, text) TO reader});
like(sql(q{SELECT vss_embed('x')}, connstr => $node->connstr('postgres') . ' user=reader'),
	qr/no server of vss_fdw that you may use/, 'nor without USAGE on a server');
like(sql(q{SELECT vss_embed('x', 'docs')}, connstr => $node->connstr('postgres') . ' user=reader'),
	qr/permission denied for foreign server docs/, 'nor by its name');
sql(q{GRANT USAGE ON FOREIGN SERVER docs TO reader});
is(sql(q{SELECT vss_dims(vss_embed('x'))}, connstr => $node->connstr('postgres') . ' user=reader'),
	'8', 'with both it works');

# ---- the key ----

tell_server('/reset', '');
sql(qq{ALTER SERVER docs OPTIONS (ADD embed_encoding 'base64', SET embed_url '$url/v1');
	ALTER SERVER docs OPTIONS (ADD embed_api 'openai');
	CREATE USER MAPPING FOR CURRENT_USER SERVER docs OPTIONS (embed_key 'sk-secret')});
is(sql(q{SELECT vss_dims(vss_embed('x'))}), '8', "OpenAI's API, in base64");
is((requests())[0]{authorization}, 'Bearer sk-secret', 'with the key of the user mapping');
tell_server('/control', '{"mode":"status","status":401,"text":"bad key sk-secret"}');
my $told = sql(q{SELECT vss_embed('x')});
like($told, qr/bad key \*+/, 'the key is blotted out');
unlike($told, qr/sk-secret/, 'wholly');
unlike(sql(q{EXPLAIN (VERBOSE) SELECT vss_embed('x')}), qr/sk-secret/, 'and not in EXPLAIN');
tell_server('/reset', '');
sql(qq{ALTER SERVER docs OPTIONS (DROP embed_encoding, SET embed_api 'ollama', SET embed_url '$url')});
unlike(slurp_file($node->logfile), qr/bad key sk-secret/, 'nor in the log');

# ---- bookkeeping and resumption ----

sql(q{UPDATE documents SET embedding = NULL, content = CASE WHEN id = 5 THEN '' ELSE content END});
my ($status, $out, $err) = $node->psql('postgres', q{CALL vss_embed_table('documents', 'content', 'embedding', 'id <= 50', 16)});
is($out, '49|1', 'a bad text does not stop the others');
like($err, qr/WARNING:.*row of public.documents with id = 5 was not embedded: an empty text/, 'and is named');
tell_server('/control', '{"mode":"drop"}');
like(sql(q{CALL vss_embed_table('documents', 'content', 'embedding', 'id > 5')}), qr/cannot get an answer/, 'no server: an error');
tell_server('/reset', '');
is(sql(q{SELECT count(*) FROM documents WHERE embedding IS NOT NULL}), '49', 'what was done is kept');
like(sql(q{BEGIN; CALL vss_embed_table('documents', 'content', 'embedding', 'id <> 5'); ROLLBACK}), qr/^52\|0$/, 'in a transaction');
is(sql(q{SELECT count(*) FROM documents WHERE embedding IS NOT NULL}), '49', 'it goes with the transaction');
sql(q{ALTER SERVER docs OPTIONS (SET embed_model 'test-8b')});
like(sql(q{CALL vss_embed_table('documents', 'content', 'embedding')}),
	qr/holds vectors of model "test-8", not of "test-8b"/, 'another model is refused');
like(sql(q{SELECT id FROM documents ORDER BY embedding <=> vss_embed('x') LIMIT 1}),
	qr/made by model "test-8b", but index "vss" holds vectors of model "test-8"/, 'by a query, too');
sql(q{ALTER SERVER docs OPTIONS (SET embed_model 'test-8')});

# a table of PostgreSQL's own
sql(q{CREATE TABLE notes(a int, b text, body text, v vss_vector, PRIMARY KEY (a, b));
	INSERT INTO notes SELECT i / 10, 'k' || i, 'note ' || i, NULL FROM generate_series(1, 25) i});
is(sql(q{CALL vss_embed_table('notes', 'body', 'v', batch => 7)}), '25|0', 'a local table with a key of two columns');
is(sql(q{SELECT b FROM notes ORDER BY v <=> vss_embed('note 13') LIMIT 1}), 'k13', 'has the right vectors');
sql(q{CREATE TABLE keyless(body text, v vss_vector)});
like(sql(q{CALL vss_embed_table('keyless', 'body', 'v')}), qr/has no key to tell its rows apart/, 'a table without a key is refused');

$node->stop;
$server->kill_kill;
done_testing();
