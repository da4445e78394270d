# A database file is replaced by rename while sessions use it: they see the new
# file, or an error that says what lies in the way, never a mixture of both.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use IPC::Run qw(start timeout);

my $node = PostgreSQL::Test::Cluster->new('swapped');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\n");
$node->start;
my $folder = $node->basedir . '/sqlite';
mkdir $folder;
$node->safe_psql('postgres', 'CREATE EXTENSION vss_fdw');

sub sqlite { my ($file, $sql) = @_; my $out = ''; IPC::Run::run([ 'sqlite3', '-bail', "$folder/$file", $sql ], '<', \'', '>', \$out, '2>&1'); chomp $out; return $out; }
sub session { my $self = { in => '', out => '', n => 0 }; $self->{run} = start([ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres') ], '<', \$self->{in}, '>', \$self->{out}, '2>&1', timeout(300)); return $self; }
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
sub leave { my ($self) = @_; $self->{in} .= "\\q\n"; $self->{run}->finish; return; }

# 2,000 rows that all have the value.
sub make
{
	my ($file, $mode, $value) = @_;
	sqlite($file, "PRAGMA journal_mode = $mode; CREATE TABLE t(id INTEGER PRIMARY KEY, v INTEGER, filler TEXT);
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO t SELECT i, $value, hex(zeroblob(50)) FROM n;");
	return;
}
my $values = "SELECT string_agg(v || ':' || n, ',' ORDER BY v) FROM (SELECT v, count(*) AS n FROM %s GROUP BY v) AS x;";

for my $new ('wal', 'delete')
{
	my $db = "to_$new.db";
	make($db, 'wal', 10);
	$node->safe_psql('postgres', "CREATE SERVER to_$new FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '$folder/$db');
		CREATE FOREIGN TABLE to_$new (id bigint, v bigint) SERVER to_$new OPTIONS (\"table\" 't');");
	my $pg = session();
	is(ask($pg, sprintf $values, "to_$new"), '10:2000', "wal to $new: the session reads the first file");
	sqlite($db, 'UPDATE t SET v = 11 WHERE id % 2');
	is(ask($pg, sprintf $values, "to_$new"), '10:1000,11:1000', 'and a change that stays in its -wal file');

	make('new.db', $new, 22);
	rename "$folder/new.db", "$folder/$db" or die $!;
	for my $again (1 .. 3)
	{
		like(ask($pg, sprintf $values, "to_$new"), qr/55000: refusing to open .*"[^"]*$db-wal" belongs to another.*HINT:.*$db-wal" and "[^"]*$db-shm"/s,
			"wal to $new: the leftover is an error, look $again");
		ask($pg, "SELECT vss_fdw_disconnect('to_$new');") if $again == 2;
	}
	like(ask($pg, "INSERT INTO to_$new VALUES (5000, 5);"), qr/55000/, "wal to $new: for writing, too");
	if ($new eq 'delete')
	{
		my ($code, $out, $err) = $node->psql('postgres', "SELECT count(*) FROM to_$new");
		like($err, qr/refusing to open .*-wal" belongs to another/, 'a file with a rollback journal beside a -wal file is refused in any session');
	}
	unlink "$folder/$db-wal", "$folder/$db-shm";
	is(ask($pg, sprintf $values, "to_$new"), '22:2000', "wal to $new: without it the new file is read");
	is(ask($pg, "INSERT INTO to_$new VALUES (5000, 5); SELECT count(*) FROM to_$new;"), '2001', 'and written');
	is(sqlite($db, 'PRAGMA integrity_check'), 'ok', "wal to $new: which is whole");
	leave($pg);
}

# The documented way: the owner checkpoints, then moves the file and removes the other two.
{
	make('safe.db', 'wal', 1);
	$node->safe_psql('postgres', "CREATE SERVER safe FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '$folder/safe.db');
		CREATE FOREIGN TABLE safe (id bigint, v bigint) SERVER safe OPTIONS (\"table\" 't');");
	my $pg = session();
	for my $value (2 .. 6)
	{
		is(ask($pg, sprintf $values, 'safe'), ($value - 1) . ':2000', 'the present file is read');
		make('new.db', 'wal', $value);
		sqlite('safe.db', 'PRAGMA wal_checkpoint(TRUNCATE)');
		unlink "$folder/safe.db-wal", "$folder/safe.db-shm";
		rename "$folder/new.db", "$folder/safe.db" or die $!;
	}
	is(ask($pg, sprintf $values, 'safe'), '6:2000', 'and in the end the last');
	is(sqlite('safe.db', 'PRAGMA integrity_check'), 'ok', 'which is whole');
	leave($pg);
}

# A file that nobody changes, by a name that means something in a URI.
{
	my $file = "a b?c#d%41.db";
	sqlite('plain.db', "PRAGMA journal_mode = wal; CREATE TABLE t(id INTEGER PRIMARY KEY, v INTEGER, e BLOB); INSERT INTO t VALUES (1, 10, NULL), (2, 20, NULL)");
	rename "$folder/plain.db", "$folder/$file" or die $!;
	$node->safe_psql('postgres', "CREATE SERVER still FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '$folder/$file', immutable 'true');
		CREATE FOREIGN TABLE still (id bigint, v bigint) SERVER still OPTIONS (\"table\" 't');");
	my $pg = session();
	is(ask($pg, sprintf $values, 'still'), '10:1,20:1', 'an immutable file in WAL mode is read');
	is_deeply([ glob("$folder/a*b*-*") ], [], 'and no file is made beside it');
	like(ask($pg, 'INSERT INTO still VALUES (3, 30);'), qr/55000: .*does not allow inserts/, 'not written');
	like(ask($pg, "SELECT vss_exec('still', 'DELETE FROM t');"), qr/25006: .*HINT:.*immutable 'true'/s, 'nor by vss_exec');
	make('new.db', 'wal', 7);
	rename "$folder/new.db", "$folder/$file" or die $!;
	is(ask($pg, sprintf $values, 'still'), '7:2000', 'another file in its place is read');
	ask($pg, "ALTER SERVER still OPTIONS (SET immutable 'false');");
	is(ask($pg, 'INSERT INTO still VALUES (5000, 5); SELECT count(*) FROM still;'), '2001', 'and written where the option is off');
	leave($pg);
	$node->safe_psql('postgres', "ALTER SERVER still OPTIONS (SET immutable 'true')");
	for my $ending ('-wal', '-journal')
	{
		unlink "$folder/$file-wal", "$folder/$file-shm";
		open(my $fh, '>', "$folder/$file$ending") or die $!;
		print $fh 'x' x 100;
		close $fh;
		my ($code, $out, $err) = $node->psql('postgres', 'SELECT count(*) FROM still');
		like($err, qr/refusing to open .* as immutable: file "[^"]*$ending" is not empty/, "a $ending file with something in it is refused");
		unlink "$folder/$file$ending";
	}
}

$node->stop;
done_testing();
