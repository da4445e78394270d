# Search by meaning with a real model, over both APIs: questions find the
# sentences that answer them, by the index as by exact search.  The server is
# scripts/embedding-server, which takes the model from npm.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use IPC::Run qw(start);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $here = abs_path(dirname(__FILE__));
my $dir = PostgreSQL::Test::Utils::tempdir();

$ENV{npm_config_cache} = "$dir/npm";
my ($said, $complaint) = ('', '');
my $server = start([ "$here/../../scripts/embedding-server", "$dir/model" ], '<', \undef, '>', \$said, '2>', \$complaint);
while ($server->pumpable && $said !~ /\n/) { $server->pump }
END { my $status = $?; $server->kill_kill if $server; $? = $status }
my ($url) = $said =~ m{^(http://\S+)};
if (!defined $url)
{
	plan skip_all => $complaint;
}

# subject, sentence
my @sentences = map { chomp; [ split /\t/ ] } <DATA>;

# subject, question: no question shares a telling word with the sentences of its subject
my @questions = (
	[ music => 'Who plays the cello in the symphony?' ],
	[ music => 'Which songs did the band perform?' ],
	[ food => 'What can I make for dinner?' ],
	[ food => 'a recipe for dessert' ],
	[ money => 'How do I repay what I borrowed?' ],
	[ money => 'my income and my debts' ],
	[ sea => 'boats on the water' ],
	[ sea => 'sailors in bad weather' ],
	[ health => 'I feel ill and need a physician' ],
	[ health => 'treatment for an injury' ],
	[ computers => 'my program stops with an error' ],
	[ computers => 'Where is the software kept?' ],
);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->start;
system_or_bail('sqlite3', '-cmd', ".load $here/../../hnsw", "$dir/sentences.db", q{
	CREATE TABLE sentences(id INTEGER PRIMARY KEY, subject TEXT, sentence TEXT, embedding BLOB);
	CREATE VIRTUAL TABLE vss USING hnsw(dim = 512, content = sentences, content_vector = embedding)});
$node->safe_psql('postgres', qq{
	CREATE EXTENSION vss_fdw;
	CREATE SERVER docs FOREIGN DATA WRAPPER vss_fdw
		OPTIONS (database '$dir/sentences.db', embed_url '$url', embed_model 'embeddings-en');
	IMPORT FOREIGN SCHEMA main FROM SERVER docs INTO public});
$node->safe_psql('postgres', join ';', map { "INSERT INTO sentences(subject, sentence) VALUES ('$_->[0]', '$_->[1]')" } @sentences);

is($node->safe_psql('postgres', "CALL vss_embed_table('sentences', 'sentence', 'embedding')"), @sentences . '|0',
	'every sentence gets its vector');

# What a question finds: the subjects of the three nearest sentences.
sub found
{
	my ($question) = @_;
	return $node->safe_psql('postgres', qq{SELECT string_agg(subject, ' ') FROM
		(SELECT subject FROM sentences ORDER BY embedding <=> vss_embed('$question', 'docs') LIMIT 3) AS s});
}

my ($first, $most) = (0, 0);
for (@questions)
{
	my ($subject, $question) = @$_;
	my @subjects = split ' ', found($question);
	my $right = grep { $_ eq $subject } @subjects;
	$first++ if $subjects[0] eq $subject;
	$most++ if $right >= 2;
	note "$question: @subjects";
}
cmp_ok($first, '>=', @questions - 1, 'the nearest sentence answers the question, for all but one at most');
cmp_ok($most, '>=', @questions - 2, 'so do two of the three nearest, for all but two at most');

my $order = q{SELECT string_agg(id::text, ' ' ORDER BY n) FROM
	(SELECT id, row_number() OVER () AS n FROM (SELECT id FROM sentences ORDER BY embedding <=> vss_embed('a storm') LIMIT 10) AS t) AS s};
is($node->safe_psql('postgres', "SET vss_fdw.knn_strategy = graph; $order"),
	$node->safe_psql('postgres', "SET vss_fdw.knn_strategy = exact; $order"), 'index and exact search agree');

$node->safe_psql('postgres', qq{CREATE SERVER other FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '$dir/sentences.db',
	embed_url '$url', embed_model 'embeddings-en', embed_api 'openai', embed_encoding 'base64')});
is($node->safe_psql('postgres', q{SELECT max(vss_embed(s, 'docs') <=> vss_embed(s, 'other')) < 1e-6
		FROM unnest(ARRAY['a storm', 'Grüße', 'two
lines']) AS s}), 't', "OpenAI's API gives the same vectors as Ollama's");

is( system('sqlite3', '-cmd', ".load $here/../../hnsw", '-cmd', "SELECT embed_config('url', '$url'), embed_config('model', 'embeddings-en')",
		"$dir/sentences.db", q{UPDATE sentences SET embedding = NULL WHERE subject = 'sea'; SELECT embed_table('sentences', 'sentence', 'embedding')}),
	0, 'SQLite asks the same server');
is(found('boats on the water') =~ /^sea sea/ ? 'sea' : 'another', 'sea', 'vectors from SQLite are found from PostgreSQL');

$node->stop;
done_testing;
__DATA__
music	The orchestra tuned its violins before the concert.
music	She has practised the piano since she was five.
music	A drummer and two guitarists entertained the crowd.
music	The choir sang in four parts.
music	His new album was recorded in a small studio.
food	Knead the dough and let it rise in a warm kitchen.
food	Grill the fish with lemon and herbs.
food	The cake needs three eggs and a cup of sugar.
food	Slice the onions and fry them in butter.
food	Soup tastes better on the second day.
money	The bank lowered the interest on its loans.
money	Taxes are due at the end of April.
money	Her salary is paid on the first of the month.
money	Shares fell after the company reported a loss.
money	He saves a tenth of what he earns.
sea	The ship left the harbour at dawn.
sea	Waves broke over the deck all night.
sea	The captain steered between the rocks.
sea	Fishermen mend their nets on the quay.
sea	A gale drove the yacht towards the coast.
health	The doctor prescribed an antibiotic.
health	The surgeon closed the wound with six stitches.
health	A fever and a cough kept him in bed.
health	The nurse measured her blood pressure.
health	Vaccines protect children from measles.
computers	The compiler reported a missing semicolon.
computers	Copy the files to another disk every night.
computers	The server crashed when its memory was full.
computers	Install the update and restart the machine.
computers	The database answers a thousand queries a second.
