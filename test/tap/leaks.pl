# 100,000 queries on one connection take no more memory than the first ones:
# lookups, nearest neighbours, errors, cursors that are left open, writes.
use strict;
use warnings;
use Cwd qw(getcwd);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'memory is read from /proc' unless -e '/proc/self/status';
my $root = getcwd();
plan skip_all => "no hnsw.so in $root" unless -e "$root/hnsw.so";

my $node = PostgreSQL::Test::Cluster->new('leaks');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\n");
$node->start;
my $file = $node->basedir . '/leaks.db';
my $rows = join ',', map { my $n = $_; "($n, 'name $n', '[" . join(',', map { ($n * $_ * 7919) % 101 - 50 } 1 .. 8) . "]')" } 1 .. 2000;
IPC::Run::run([ 'sqlite3', '-bail', $file ], '<', \".load $root/hnsw
	CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, e TEXT);
	INSERT INTO t VALUES $rows;
	INSERT INTO t VALUES (5000, CAST(x'ff' AS TEXT), NULL);
	CREATE VIRTUAL TABLE vss USING hnsw(dim=8, content=t, content_rowid=id, content_vector=e);
	SELECT hnsw_save('vss');\n", '>', '/dev/null') or die 'sqlite3 failed';
$node->safe_psql('postgres', "CREATE EXTENSION vss_fdw;
	CREATE SERVER leaks FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '$file');
	IMPORT FOREIGN SCHEMA main FROM SERVER leaks INTO public;");

# Each: a statement of a DO block's loop, how often, and kilobytes that may be
# taken between a fifth of the way and the end.
my @work = (
	[ 'lookups, planned each time', q{EXECUTE format('SELECT name FROM t WHERE id = %s', i % 2000 + 1) INTO s}, 30000 ],
	[ 'lookups, prepared', q{SELECT name INTO s FROM t WHERE id = i % 2000 + 1}, 40000 ],
	[ 'nearest neighbours', q{SELECT id::text INTO s FROM t ORDER BY e <=> '[1,2,3,4,5,6,7,8]' LIMIT 1}, 20000 ],
	[ 'errors', q{BEGIN SELECT name INTO s FROM t WHERE id = 5000; EXCEPTION WHEN OTHERS THEN s := 'error'; END}, 5000 ],
	[ 'errors of SQLite', q{BEGIN EXECUTE format('SELECT gone%s FROM broken', i) INTO s; EXCEPTION WHEN OTHERS THEN s := 'error'; END}, 3000 ],
	[ 'cursors', q{OPEN c FOR SELECT name FROM t; FETCH c INTO s; CLOSE c}, 5000 ],
	[ 'writes in savepoints', q{BEGIN UPDATE t SET name = 'x' || i WHERE id = 7; IF i % 2 = 0 THEN RAISE 'even'; END IF; EXCEPTION WHEN raise_exception THEN NULL; END}, 5000 ],
	[ 'writes with joins, half of which fail', q{BEGIN UPDATE n SET v = n.v + (i % 2) * 9223372036854775807, k = o.k FROM n AS o WHERE o.id = n.id + 1 - 1 AND o.id = n.k; EXCEPTION WHEN OTHERS THEN NULL; END}, 2000 ],
	[ 'as one statement', q{BEGIN UPDATE n SET v = n.v + (i % 2) * 9223372036854775807 + 1, k = o.k FROM n AS o WHERE o.id = n.k RETURNING n.k::text INTO STRICT s; EXCEPTION WHEN OTHERS THEN NULL; END}, 4000 ]);
$node->safe_psql('postgres', q{SELECT vss_exec('leaks', 'CREATE TABLE n(id INTEGER PRIMARY KEY, k INT, v INT); INSERT INTO n VALUES (1, 1, 5), (2, 2, 6), (3, NULL, 7)');
	IMPORT FOREIGN SCHEMA main LIMIT TO (n) FROM SERVER leaks INTO public;});
$node->safe_psql('postgres', 'CREATE FOREIGN TABLE broken (' . join(', ', map { "gone$_ int" } 1 .. 3) . ') SERVER leaks OPTIONS ("table" \'t\')');

my $total = 0;
for my $work (@work)
{
	my ($name, $statement, $count) = @$work;
	my $warm = $count / 5;
	my $more = $count - $warm;
	my $loop = sub { "DO \$\$ DECLARE s text; c refcursor; BEGIN FOR i IN 1 .. $_[0] LOOP $statement; END LOOP; END \$\$;" };
	# The server's process tells its memory itself, between two transactions.
	my $rss = q{SELECT 'rss', split_part(substring(pg_read_file('/proc/' || pg_backend_pid() || '/status') FROM 'VmRSS:[^\n]*'), 'kB', 1);};
	my $out = $node->safe_psql('postgres', $loop->($warm) . "\n$rss\n" . $loop->($more) . "\n$rss\n");
	my @kb = $out =~ /rss\|VmRSS:\s*(\d+)/g;
	is(scalar @kb, 2, "$name: $count ran");
	cmp_ok($kb[1] - $kb[0], '<', 1500, sprintf('%s: %d kB more after %d than after %d', $name, $kb[1] - $kb[0], $count, $warm));
	$total += $count;
}
cmp_ok($total, '>=', 100000, "$total queries");

# no file stays open, either
my $descriptors = q{SELECT 'fds', count(*) FROM pg_ls_dir('/proc/' || pg_backend_pid() || '/fd');};
my $out = $node->safe_psql('postgres', "SELECT count(*) FROM t;\n$descriptors\n"
	  . join("\n", ('ALTER SERVER leaks OPTIONS (ADD busy_timeout \'1\'); SELECT count(*) FROM t; ALTER SERVER leaks OPTIONS (DROP busy_timeout); SELECT count(*) FROM t;') x 30)
	  . "\n$descriptors\n");
my @fds = $out =~ /fds\|(\d+)/g;
# 60 times opened; a few files more are PostgreSQL's own, of relations it looked at
cmp_ok($fds[1] - $fds[0], '<', 10, 'connections that are closed close their files');

$node->stop;
done_testing();
