# SQLite's transactions follow PostgreSQL's: what is committed is there, what
# is rolled back is not, in both databases, whoever else reads and writes.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use FindBin;
use lib $FindBin::RealBin;
use VssTest;
use IPC::Run qw(start timeout);
use Time::HiRes qw(time);

my $node = PostgreSQL::Test::Cluster->new('transactions');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nmax_prepared_transactions = 2\nrestart_after_crash = on\n");
$node->start;
my $folder = $node->basedir . '/sqlite';
mkdir $folder;

# A session that is talked to line by line: psql or sqlite3.
sub session
{
	my (@command) = @_;
	my $self = { in => '', out => '', n => 0 };
	$self->{run} = start(\@command, '<', \$self->{in}, '>', \$self->{out}, '2>&1', timeout(patience(180)));
	return $self;
}
sub psql_session { return session('psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres')) }
sub sqlite_session { return session('sqlite3', "$folder/$_[0]") }

sub say_to
{
	my ($self, $sql) = @_;
	my $mark = 'mark' . ++$self->{n};
	$self->{out} = '';
	$self->{in} .= "$sql\nSELECT '$mark';\n";
	$self->{run}->pump until $self->{out} =~ /^$mark$/m || $self->{out} =~ /current transaction is aborted/;
	(my $said = $self->{out}) =~ s/^$mark\n//m;
	chomp $said;
	return $said;
}

# psql keeps the mark out of an aborted transaction.
sub ask
{
	my ($self, $sql) = @_;
	my $mark = 'mark' . ++$self->{n};
	$self->{out} = '';
	$self->{in} .= "$sql\n\\echo $mark\n";
	$self->{run}->pump until $self->{out} =~ /^$mark$/m;
	(my $said = $self->{out}) =~ s/^$mark\n//m;
	chomp $said;
	return $said;
}

sub leave
{
	my ($self) = @_;
	$self->{in} .= $_[1] // "\\q\n";
	$self->{run}->finish;
}

for my $mode ('delete', 'wal')
{
	sqlite_says("$folder/$mode.db", "PRAGMA journal_mode = $mode;
		CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT UNIQUE);
		CREATE TABLE parent(id INTEGER PRIMARY KEY);
		CREATE TABLE child(id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
		CREATE TRIGGER t_gives_up BEFORE INSERT ON t WHEN NEW.v = 'give up' BEGIN SELECT RAISE(ROLLBACK, 'gave up'); END;");
}
$node->safe_psql('postgres', 'CREATE EXTENSION vss_fdw; CREATE TABLE local (v text);');
for my $mode ('delete', 'wal')
{
	$node->safe_psql('postgres', "CREATE SERVER $mode FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '$folder/$mode.db', busy_timeout '300');
		CREATE SCHEMA $mode; IMPORT FOREIGN SCHEMA main FROM SERVER $mode INTO $mode;");
}

for my $mode ('delete', 'wal')
{
	my $say = sub { my ($code, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nSET search_path = $mode, public; $_[0]", on_error_stop => 0); return "$out$err" };
	my $stored = sub { return sqlite_says("$folder/$mode.db", 'SELECT group_concat(v) FROM (SELECT v FROM t ORDER BY id)') };
	my $clear = sub { sqlite_says("$folder/$mode.db", 'DELETE FROM t; DELETE FROM child; DELETE FROM parent'); $node->safe_psql('postgres', 'TRUNCATE local') };

	# ---- one session ----
	is($say->("BEGIN; INSERT INTO t(v) VALUES ('a'); SELECT v FROM t; COMMIT;"), 'a', "$mode: a transaction sees its own rows");
	is($stored->(), 'a', "$mode: and commits them");
	is($say->("BEGIN; INSERT INTO t(v) VALUES ('b'); ROLLBACK; SELECT count(*) FROM t;"), '1', "$mode: rolled back means gone");
	$clear->();

	$say->("BEGIN; INSERT INTO t(v) VALUES ('1');
		SAVEPOINT a; INSERT INTO t(v) VALUES ('2');
		SAVEPOINT b; INSERT INTO t(v) VALUES ('3');
		SAVEPOINT c; INSERT INTO t(v) VALUES ('4'); ROLLBACK TO c; INSERT INTO t(v) VALUES ('5'); RELEASE c;
		ROLLBACK TO b; INSERT INTO t(v) VALUES ('6'); RELEASE b;
		SAVEPOINT d; ROLLBACK TO d; ROLLBACK TO d; INSERT INTO t(v) VALUES ('7');
		COMMIT;");
	is($stored->(), '1,2,6,7', "$mode: savepoints, nested and repeated");
	$clear->();

	$say->("BEGIN; SAVEPOINT a; SAVEPOINT b; INSERT INTO t(v) VALUES ('x'); ROLLBACK TO a; INSERT INTO local VALUES ('l'); COMMIT;");
	is($stored->() . $node->safe_psql('postgres', 'SELECT count(*) FROM local'), '1', "$mode: the first write lies in a savepoint that is rolled back");
	$clear->();

	like($say->("BEGIN; INSERT INTO t(v) VALUES ('a'); SAVEPOINT s; INSERT INTO t(v) VALUES ('a'); ROLLBACK TO s; INSERT INTO t(v) VALUES ('b'); COMMIT;"),
		qr/23505/, "$mode: a duplicate is a unique violation");
	is($stored->(), 'a,b', "$mode: after which the transaction goes on from the savepoint");
	$clear->();

	$say->(q{DO $$BEGIN
		FOR i IN 1 .. 20 LOOP
			BEGIN
				INSERT INTO t(v) VALUES (i::text);
				IF i % 2 = 0 THEN RAISE 'even'; END IF;
			EXCEPTION WHEN raise_exception THEN NULL;
			END;
		END LOOP;
	END$$;});
	is($stored->(), join(',', grep { $_ % 2 } 1 .. 20), "$mode: exception blocks in PL/pgSQL");
	$clear->();

	# ---- SQLite ends the transaction by itself ----
	my $said = $say->("BEGIN; INSERT INTO t(v) VALUES ('before'); INSERT INTO local VALUES ('l'); SAVEPOINT s; INSERT INTO t(v) VALUES ('give up'); ROLLBACK TO s; COMMIT;");
	like($said, qr/gave up.*40000: SQLite rolled back its transaction/s, "$mode: a transaction that SQLite gave up cannot commit");
	is($stored->() . $node->safe_psql('postgres', 'SELECT count(*) FROM local'), '0', "$mode: nor is anything of it left");
	is($say->("INSERT INTO t(v) VALUES ('next'); SELECT v FROM t;"), 'next', "$mode: the next transaction works");
	$clear->();

	# ---- a commit that fails ----
	like($say->("BEGIN; INSERT INTO local VALUES ('l'); INSERT INTO child VALUES (1, 99); COMMIT;"), qr/23503/, "$mode: a deferred foreign key fails at COMMIT");
	is(sqlite_says("$folder/$mode.db", 'SELECT count(*) FROM child') . $node->safe_psql('postgres', 'SELECT count(*) FROM local'), '00', "$mode: in both databases");
	is($say->("BEGIN; INSERT INTO child VALUES (1, 99); INSERT INTO parent VALUES (99); COMMIT; SELECT count(*) FROM child;"), '1', "$mode: or holds in time");
	$clear->();

	# ---- two-phase commit ----
	like($say->("BEGIN; INSERT INTO t(v) VALUES ('p'); PREPARE TRANSACTION 'p';"), qr/0A000: cannot PREPARE.*HINT/s, "$mode: PREPARE TRANSACTION is refused after a write");
	is($stored->(), '', "$mode: which is rolled back");
	is($say->("BEGIN; SELECT count(*) FROM t; INSERT INTO local VALUES ('p'); PREPARE TRANSACTION 'p'; COMMIT PREPARED 'p'; SELECT v FROM local;"), "0\np", "$mode: but not after reading");
	$clear->();

	# ---- other processes ----
	my $pg = psql_session();
	ask($pg, "SET search_path = $mode, public;");
	my $other = sqlite_session("$mode.db");
	say_to($other, 'BEGIN IMMEDIATE;');
	my $since = time;
	like(ask($pg, "INSERT INTO t(v) VALUES ('w');"), qr/55P03: .*locked.*HINT:.*busy_timeout/s, "$mode: another writer: error after busy_timeout");
	cmp_ok(time - $since, '>=', 0.3, "$mode: not before");
	is(ask($pg, 'SELECT count(*) FROM t;'), '0', "$mode: reading goes on");
	say_to($other, 'COMMIT;');
	is(ask($pg, "INSERT INTO t(v) VALUES ('w') RETURNING v;"), 'w', "$mode: then writing, too");

	# reading holds no lock between statements
	ask($pg, 'BEGIN; SELECT * FROM t;');
	is(sqlite_says("$folder/$mode.db", "BEGIN EXCLUSIVE; INSERT INTO t(v) VALUES ('e'); COMMIT"), '', "$mode: READ COMMITTED holds no lock between statements");
	is(ask($pg, "SELECT count(*) FROM t; UPDATE t SET v = 'E' WHERE v = 'e' RETURNING v; COMMIT;"), "2\nE", "$mode: sees what was committed meanwhile, and writes");

	# REPEATABLE READ: a snapshot, and no write over what has changed since
	SKIP:
	{
		skip 'without WAL a reader keeps writers out', 3 if $mode eq 'delete';
		ask($pg, 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM t;');
		is(sqlite_says("$folder/$mode.db", "INSERT INTO t(v) VALUES ('r')"), '', "$mode: under a snapshot others write");
		is(ask($pg, 'SELECT count(*) FROM t;'), '2', "$mode: unseen");
		like(ask($pg, "INSERT INTO t(v) VALUES ('s');"), qr/40001.*HINT:.*Retry/s, "$mode: a write over that is a serialization failure");
		ask($pg, 'ROLLBACK;');
	}
	SKIP:
	{
		skip 'with WAL readers hinder nobody', 4 if $mode eq 'wal';
		# a reader keeps the commit out
		say_to($other, 'BEGIN; SELECT count(*) FROM t;');
		ask($pg, "BEGIN; INSERT INTO local VALUES ('c'); INSERT INTO t(v) VALUES ('c');");
		like(ask($pg, 'COMMIT;'), qr/55P03/, "$mode: a commit that cannot get the lock is an error");
		is(ask($pg, 'SELECT count(*) FROM local;'), '0', "$mode: PostgreSQL's part is rolled back, too");
		say_to($other, 'COMMIT;');
		is(ask($pg, "SELECT count(*) FROM t WHERE v = 'c';"), '0', "$mode: and SQLite's");
		is(ask($pg, "INSERT INTO t(v) VALUES ('c') RETURNING v;"), 'c', "$mode: afterwards the session writes again");
	}

	# a backend that dies leaves nothing behind
	my $pid = ask($pg, 'SELECT pg_backend_pid();');
	ask($pg, "BEGIN; INSERT INTO t(v) SELECT 'k' || g FROM generate_series(1, 5000) g;");
	my $before = say_to($other, 'SELECT count(*) FROM t;');
	kill 'TERM', $pid;
	eval { leave($pg, "SELECT 1;\n\\q\n") };
	$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid");
	is(say_to($other, 'SELECT count(*) FROM t;'), $before, "$mode: a backend that is ended rolls back");
	leave($other, ".quit\n");
	is(sqlite_says("$folder/$mode.db", 'PRAGMA integrity_check'), 'ok', "$mode: the database is whole");
	$clear->();
}

# ---- two databases in one transaction ----
$node->safe_psql('postgres', "BEGIN; INSERT INTO delete.t(v) VALUES ('both'); INSERT INTO wal.t(v) VALUES ('both'); COMMIT;");
is(sqlite_says("$folder/delete.db", 'SELECT v FROM t') . sqlite_says("$folder/wal.db", 'SELECT v FROM t'), 'bothboth', 'two servers commit together');
$node->safe_psql('postgres', "BEGIN; DELETE FROM delete.t; DELETE FROM wal.t; ROLLBACK;");
is(sqlite_says("$folder/delete.db", 'SELECT v FROM t') . sqlite_says("$folder/wal.db", 'SELECT v FROM t'), 'bothboth', 'and roll back together');

# ---- a write that finds its rows by a scan of its own waits for the lock ----
for my $mode ('delete', 'wal')
{
	sqlite_says("$folder/patient_$mode.db", "PRAGMA journal_mode = $mode; CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'old'), (2, 'old')");
	$node->safe_psql('postgres', "CREATE SERVER patient_$mode FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '$folder/patient_$mode.db', busy_timeout '50000');
		CREATE FOREIGN TABLE patient_$mode (id bigint, v text) SERVER patient_$mode OPTIONS (table 't');");
	for my $level ('READ COMMITTED', 'REPEATABLE READ')
	{
		my $lite = sqlite_session("patient_$mode.db");
		my $pg = psql_session();

		say_to($lite, "BEGIN IMMEDIATE; UPDATE t SET v = 'theirs' WHERE id = 1;");
		$pg->{out} = '';
		$pg->{in} .= "BEGIN ISOLATION LEVEL $level; UPDATE patient_$mode SET v = md5(v); COMMIT;\n\\echo done\n";
		for (my $end = time + 0.5; time < $end; Time::HiRes::sleep(0.05)) { $pg->{run}->pump_nb }
		is($pg->{out}, '', "$mode, $level: UPDATE waits while another process writes");
		say_to($lite, 'COMMIT;');
		$pg->{run}->pump until $pg->{out} =~ /done/;
		is($pg->{out}, "done\n", "$mode, $level: and goes on when it is done");
		is(sqlite_says("$folder/patient_$mode.db", 'SELECT count(*) FROM t WHERE length(v) = 32'), '2', "$mode, $level: over what that has written");
		leave($pg);
		leave($lite, ".quit\n");
	}
}

# ---- kill -9: PostgreSQL restarts, SQLite recovers from its journal ----
for my $mode ('delete', 'wal')
{
	my $pg = psql_session();
	my $pid = ask($pg, 'SELECT pg_backend_pid();');
	ask($pg, "SET search_path = $mode; BEGIN; INSERT INTO t(v) SELECT 'k' || g FROM generate_series(1, 20000) g;");
	kill 'KILL', $pid;
	eval { leave($pg) };
	is(sqlite_says("$folder/$mode.db", 'SELECT count(*) FROM t'), '1', "$mode: killed in the middle of a transaction, nothing of it stays");
	is(sqlite_says("$folder/$mode.db", 'PRAGMA integrity_check'), 'ok', "$mode: and the database is whole");
	# the dead session is listed until the server has restarted
	$node->poll_query_until('postgres', "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid)") or die 'no restart';
	is($node->safe_psql('postgres', "SELECT v FROM $mode.t"), 'both', "$mode: after the restart it is read");
}

$node->stop;
done_testing();
