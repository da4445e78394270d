# Commit means commit, abort means nothing: a transaction over two SQLite files
# and a local table that cannot commit leaves no row in any of them, whoever
# refuses and however late.
#
# The first half injects failures at random: locks, a disk that is full at some
# byte, serialization failures, constraints checked at the end.  The ordinary run
# has some of each; a thousand take a few minutes:
#
#	COMMIT_FAILURES=1000 make installcheck REGRESS= ISOLATION= PROVE_TESTS=test/tap/commit.pl
#
# COMMIT_SEED chooses other ones.
use strict;
use warnings;
use Cwd qw(getcwd);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use IPC::Run qw(start timeout);
use Time::HiRes qw(usleep);

my $failures = $ENV{COMMIT_FAILURES} // 48;
my $seed = $ENV{COMMIT_SEED} // 1;
srand($seed);

my $node = PostgreSQL::Test::Cluster->new('commit');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nmax_prepared_transactions = 2\nautovacuum = off\nwal_level = replica\nmax_wal_senders = 2\n");
my $folder = $node->basedir . '/sqlite';
mkdir $folder;

# ---- the disk ----
my $shim = $node->basedir . '/full_disk.so';
my $control = $node->basedir . '/full_disk';
my $nothing = "\0" x (8 * 128);
open my $disk, '+>', $control or die $!;
syswrite $disk, $nothing;
my $has_disk = $^O eq 'linux' && system('cc', '-shared', '-fPIC', '-O1', '-o', $shim, getcwd() . '/test/tap/full_disk.c') == 0;
BAIL_OUT('test/tap/full_disk.c does not compile') unless $has_disk;
sub poke { sysseek $disk, 0, 0; syswrite $disk, $_[0] }
sub disk_has { poke(pack('q4', 1, $_[0], 0, 0) . substr($nothing, 32)) }
sub disk_is_large { poke($nothing) }
sub disk_used { sysseek $disk, 16, 0; sysread $disk, my $used, 8; return unpack 'q', $used }
{
	local $ENV{LD_PRELOAD} = $shim;
	local $ENV{FULL_DISK_CONTROL} = $control;
	local $ENV{FULL_DISK_FOLDER} = $folder;
	$node->start;
}

# ---- sessions that are talked to line by line ----
sub session
{
	my (@command) = @_;
	my $self = { in => '', out => '', n => 0 };
	$self->{run} = start(\@command, '<', \$self->{in}, '>', \$self->{out}, '2>&1', timeout(1800));
	return $self;
}
sub psql_session { return session('psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres')) }
sub sqlite_session { return session('sqlite3', '-batch', "$folder/$_[0].db") }
sub ask
{
	my ($self, $sql, $echo) = @_;
	my $mark = 'mark' . ++$self->{n};
	$self->{out} = '';
	$self->{in} .= $sql . "\n" . ($echo // '\echo') . " $mark\n";
	$self->{run}->pump until $self->{out} =~ /^$mark$/m;
	(my $said = $self->{out}) =~ s/^$mark\n//m;
	chomp $said;
	return $said;
}
sub tell_lite { return ask($_[0], $_[1], '.print') }
sub start_asking { my ($self, $sql) = @_; $self->{out} = ''; $self->{in} .= "$sql\n\\echo done\n"; $self->{run}->pump_nb; return; }
sub finish_asking { my ($self) = @_; $self->{run}->pump until $self->{out} =~ /^done$/m; return $self->{out}; }
sub leave { my ($self, $how) = @_; $self->{in} .= $how // "\\q\n"; $self->{run}->finish; return; }
sub sqlite { my ($file, $sql) = @_; my $out = ''; IPC::Run::run([ 'sqlite3', '-bail', "$folder/$file.db", $sql ], '<', \'', '>', \$out, '2>&1'); chomp $out; return $out; }

# ---- pairs of files ----
my %modes = (mixed => [ 'delete', 'wal' ], waiting => [ 'wal', 'delete' ], wal => [ 'wal', 'wal' ], journal => [ 'delete', 'truncate' ]);
$node->safe_psql('postgres', q{CREATE EXTENSION vss_fdw;
	CREATE TABLE local (id int, v text);
	CREATE TABLE sums (a int);
	CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'refused' USING ERRCODE = '23514'; END$$;
	CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON local DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
		WHEN (NEW.v = 'refuse') EXECUTE FUNCTION refuse();});
for my $pair (sort keys %modes)
{
	for my $i (0, 1)
	{
		my $name = $pair . ('a', 'b')[$i];
		sqlite($name, "PRAGMA journal_mode = $modes{$pair}[$i]; CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT);
			CREATE TABLE parent(id INTEGER PRIMARY KEY); CREATE TABLE child(parent INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
			CREATE VIRTUAL TABLE words USING fts5(w);");
		$node->safe_psql('postgres', "CREATE SERVER $name FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '$folder/$name.db', busy_timeout '100');
			CREATE FOREIGN TABLE ${name}_t (id bigint, v text) SERVER $name OPTIONS (table 't');
			CREATE FOREIGN TABLE ${name}_child (parent bigint) SERVER $name OPTIONS (table 'child');
			CREATE FOREIGN TABLE ${name}_words (w text) SERVER $name OPTIONS (table 'words');");
	}
}

# ---- injected failures ----
my $one = psql_session();
my $two = psql_session();
my $look = psql_session();
my $id = 0;

# The statements of a transaction: a row of this number in both files and in the local table, in any order.
sub rows
{
	my ($pair, $size, $text) = @_;
	my @rows = map { "INSERT INTO ${pair}${_}_t VALUES ($id, repeat('x', $size));" } 'a', 'b';
	push @rows, "INSERT INTO local VALUES ($id, '" . ($text // 'x') . "');";
	push @rows, "INSERT INTO ${pair}b_words SELECT md5(g::text) FROM generate_series(1, 40) g;" if $size > 2000;
	for my $i (reverse 1 .. $#rows) { my $j = int rand($i + 1); @rows[ $i, $j ] = @rows[ $j, $i ]; }
	return join ' ', @rows;
}

my %lite;

# In how many of the three the number is.
sub copies
{
	my ($pair) = @_;
	my $found = 0;
	for my $file ("${pair}a", "${pair}b")
	{
		$lite{$file} //= sqlite_session($file);
		$found += tell_lite($lite{$file}, "SELECT count(*) FROM t WHERE id = $id;");
	}
	return $found + ask($look, "SELECT count(*) FROM local WHERE id = $id;");
}

# Each makes one attempt and returns what the session said.
my %inject = (
	locked => sub {
		my ($pair) = @_;
		my $i = $pair eq 'mixed' ? 0 : $pair eq 'waiting' ? 1 : int rand 2;
		my $file = $pair . ('a', 'b')[$i];
		my $holder = $lite{$file} //= sqlite_session($file);
		my $wal = $modes{$pair}[$i] eq 'wal';
		tell_lite($holder, $wal ? 'BEGIN IMMEDIATE;' : 'BEGIN; SELECT count(*) FROM t;');
		my $said = ask($one, 'BEGIN; ' . rows($pair, 100) . ' COMMIT;');
		tell_lite($holder, 'COMMIT;');
		return $said;
	},
	full => sub {
		my ($pair) = @_;
		my $size = (100, 3000, 60000)[ int rand 3 ];
		my $sql = 'BEGIN; ' . rows($pair, $size) . ' COMMIT;';
		# how much it takes: the same is done and undone, but for what COMMIT itself writes
		disk_has(2**40);
		ask($one, $sql);
		my $needed = disk_used();
		$id++;
		$sql =~ s/\(${\($id - 1)},/($id,/g;
		disk_has(int rand 4 ? $needed - 1 - int rand(rand 2 < 1 ? 9000 : 250000) : int rand $needed) if $needed > 0;
		my $said = ask($one, $sql);
		disk_is_large();
		return $said;
	},
	serialization => sub {
		my ($pair) = @_;
		ask($_, 'BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT sum(a) FROM sums; INSERT INTO sums VALUES (1);') for $one, $two;
		ask($one, rows($pair, 100));
		ask($two, 'COMMIT;');
		return ask($one, 'COMMIT;');
	},
	constraint => sub {
		my ($pair) = @_;
		my $which = int rand 3;
		return ask($one, 'BEGIN; ' . rows($pair, 100, 'refuse') . ' COMMIT;') if $which == 0;
		return ask($one, 'BEGIN; ' . rows($pair, 100) . " INSERT INTO ${pair}" . ('a', 'b')[ int rand 2 ] . "_child VALUES (999); COMMIT;") if $which == 1;
		return ask($one, 'BEGIN; ' . rows($pair, 100) . ' CREATE TEMP TABLE p (id int PRIMARY KEY) ON COMMIT DELETE ROWS; CREATE TEMP TABLE r (p int REFERENCES p); COMMIT;');
	});
my %code = (locked => '55P03', full => '53100|58030', serialization => '40001', constraint => '23503|23514|0A000');

for my $kind (sort keys %inject)
{
	my ($failed, $left, $wrong, $other, $attempts) = (0, 0, 0, '', 0);
	my @pairs = sort keys %modes;

	while ($failed < $failures / 4 && $attempts++ < 4 * $failures)
	{
		$id++;
		my $pair = $pairs[ int rand @pairs ];
		my $said = $inject{$kind}->($pair);
		ask($_, 'ROLLBACK;') for $one, $two;
		my $copies = copies($pair);
		if ($said =~ /ERROR:  (?:$code{$kind}):/)
		{
			$failed++;
			$left += $copies;
			diag("$kind, $pair, seed $seed, row $id stays $copies times after: $said") if $copies;
		}
		else
		{
			$other = $said if $said =~ /ERROR/;
			$wrong += $copies != 3;
		}
	}
	cmp_ok($failed, '>=', $failures / 4, "$kind: $failed commits failed");
	is($left, 0, "$kind: and left no row behind");
	is($wrong, 0, "$kind: those that did not fail left all three");
	is($other, '', "$kind: nothing else went wrong");
}
leave($_, ".quit\n") for values %lite;
is(sqlite("$_", 'PRAGMA integrity_check'), 'ok', "$_ is whole") for map { ("${_}a", "${_}b") } sort keys %modes;
leave($_) for $two, $look;

# ---- what comes after PRE_COMMIT in PostgreSQL, one by one ----
my $stored = sub { return sqlite($_[0] // 'wala', 'SELECT count(*) FROM t WHERE id = -1') };
$node->safe_psql('postgres', "BEGIN; INSERT INTO wala_t VALUES (-1, 'n'); NOTIFY a, 'once'; COMMIT;");
is($stored->(), '1', 'a transaction that notifies commits');
sqlite('wala', 'DELETE FROM t WHERE id = -1');
my $listener = psql_session();
ask($listener, 'LISTEN a;');
like(ask($listener, "BEGIN; INSERT INTO wala_t VALUES (-1, 'n'); NOTIFY a, 'once'; COMMIT; SELECT 1;"), qr/^[^\n]*"once"[^\n]*\n1$/s, 'and notifies once');
sqlite('wala', 'DELETE FROM t WHERE id = -1');

# The queue's lock is held by a transaction that waits for a standby.
$node->safe_psql('postgres', "ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
$node->safe_psql('postgres', 'SELECT pg_reload_conf()');
my $blocker = psql_session();
start_asking($blocker, 'BEGIN; NOTIFY b; INSERT INTO sums VALUES (0); COMMIT;');
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'}) or die;
like(ask($listener, "SET synchronous_commit = local; SET lock_timeout = '100ms'; BEGIN; INSERT INTO wala_t VALUES (-1, 'n'); NOTIFY a; COMMIT;"), qr/55P03/, 'the lock of the queue may time out');
is($stored->(), '0', 'then nothing stays');
start_asking($listener, "SET lock_timeout = 0; BEGIN; INSERT INTO wala_t VALUES (-1, 'n'); NOTIFY a; COMMIT;");
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'}) or die;
$node->safe_psql('postgres', q{SET synchronous_commit = local; SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'});
like(finish_asking($listener), qr/57014/, 'or the wait for it be cancelled');
is($stored->(), '0', 'then nothing stays');
$node->safe_psql('postgres', 'ALTER SYSTEM RESET synchronous_standby_names');
$node->safe_psql('postgres', 'SELECT pg_reload_conf()');
finish_asking($blocker);
leave($blocker);

if ($node->pg_version >= 17)
{
	$node->append_conf('postgresql.conf', 'max_notify_queue_pages = 64');
	$node->restart;
	$listener = psql_session();
	ask($listener, 'LISTEN a; BEGIN; SELECT 1;');
	$one = psql_session();
	ask($one, q{SELECT count(pg_notify('a', repeat('x', 7900) || g)) FROM generate_series(1, 60) g;});
	like(ask($one, "BEGIN; INSERT INTO wala_t VALUES (-1, 'n'); SELECT count(pg_notify('a', repeat('y', 7900) || g)) FROM generate_series(1, 6) g; COMMIT;"), qr/54000/, 'the queue is full');
	is($stored->(), '0', 'then nothing stays');
}
leave($listener);

# ---- a file that is replaced while it is written ----
for my $pair ('wal', 'journal')
{
	my $file = "${pair}a";
	my $move = sub { rename "$folder/$file.db", "$folder/$file.old"; sqlite("$file.new", 'CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)'); rename "$folder/$file.new.db", "$folder/$file.db" };
	my $back = sub { rename "$folder/$file.old", "$folder/$file.db" };
	my $pg = psql_session();

	ask($pg, "BEGIN; INSERT INTO ${file}_t VALUES (-1, 'r'); INSERT INTO local VALUES (-1, 'r');");
	$move->();
	like(ask($pg, 'COMMIT;'), qr/40001: SQLite database ".*" of server "$file" was replaced or removed.*HINT:.*again/s, "$pair: COMMIT into a file that was replaced");
	is(ask($pg, 'SELECT count(*) FROM local WHERE id = -1;'), '0', "$pair: PostgreSQL's part is rolled back");
	$back->();
	is($stored->($file), '0', "$pair: and SQLite's");
	leave($pg);
}
{
	my $pg = psql_session();

	ask($pg, 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM journala_t;');
	rename "$folder/journala.db", "$folder/journala.old";
	like(ask($pg, "INSERT INTO journala_t VALUES (-1, 'r');"), qr/40001: .*replaced or removed.*HINT:.*again/s, 'writing to a file that was moved away says so');
	rename "$folder/journala.old", "$folder/journala.db";
	leave($pg);
}

# ---- subtransactions ----
sub cpu { my ($pid) = @_; open my $stat, '<', "/proc/$pid/stat" or die $!; my @f = split ' ', (<$stat> =~ s/^.*\) //r); return ($f[11] + $f[12]) / 100 }
{
	my $pg = psql_session();
	my $pid = ask($pg, 'SELECT pg_backend_pid();');
	my $levels = 1500;
	ask($pg, 'BEGIN; ' . join(' ', map { "SAVEPOINT s$_; INSERT INTO wala_t VALUES (-$_ - 1, 'n');" } 1 .. $levels));
	my $before = cpu($pid);
	ask($pg, 'ROLLBACK TO s10;');
	is(ask($pg, 'SELECT count(*) FROM wala_t WHERE id < 0;'), '9', 'nested savepoints are rolled back');
	cmp_ok(cpu($pid) - $before, '<', 1.5, "$levels of them by one statement, not by one each");
	ask($pg, "SAVEPOINT t; INSERT INTO wala_t VALUES (-90000, 'n'); SAVEPOINT u; INSERT INTO wala_t VALUES (-90001, 'n'); ROLLBACK TO u; RELEASE t; COMMIT;");
	is(sqlite('wala', 'SELECT count(*) FROM t WHERE id < 0'), '10', 'and the transaction goes on');
	leave($pg);
}

$node->stop;
done_testing();
