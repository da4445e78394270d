# Who may write the database's folder can put anything in the place of the files
# that SQLite keeps beside it, or change these while they are in use.  The
# server neither hangs nor dies, and touches no other file.
use strict;
use warnings;
use Fcntl qw(:mode);
use IO::Socket::UNIX;
use POSIX qw(mkfifo);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use FindBin;
use lib $FindBin::RealBin;
use VssTest;

my $node = PostgreSQL::Test::Cluster->new('sidecars');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf', "fsync = off\nrestart_after_crash = off\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION vss_fdw');
my $folder = $node->basedir . '/sqlite';
mkdir $folder;

sub make_server
{
	my ($name, $journal) = @_;

	sqlite("$folder/$name.db", "PRAGMA journal_mode = $journal; CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t(v) VALUES ('one'), ('two');");
	$node->safe_psql('postgres', "CREATE SERVER $name FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '$folder/$name.db'); CREATE SCHEMA $name; IMPORT FOREIGN SCHEMA main FROM SERVER $name INTO $name;");
}

# Errors and output of a session that must come to its end.
sub run_sql
{
	my ($sql) = @_;
	my ($code, $out, $err) = $node->psql('postgres', "$sql\nSELECT 'the end';\n", on_error_stop => 0, timeout => 300);

	like($out, qr/the end$/, 'the session reaches its end');
	return ($out, $err);
}

# A session that is kept, fed piece by piece.
sub with_session
{
	my ($pieces) = @_;
	my ($in, $out, $err) = ('', '', '');
	my $run = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ], '<', \$in, '>', \$out, '2>', \$err, IPC::Run::timeout(300));
	my $i = 0;

	for my $piece (@$pieces)
	{
		if (ref $piece) { $piece->(); next; }
		$i++;
		$in .= "$piece\n\\echo end $i\n";
		$run->pump until $out =~ /^end $i$/m;
	}
	$in .= "\\q\n";
	$run->finish;
	return ($out, $err);
}

sub spew
{
	my ($file, $bytes) = @_;

	open(my $fh, '>:raw', $file) or die "$file: $!";
	print $fh $bytes;
	close $fh;
}

my $victim = $node->basedir . '/victim';
my $precious = "precious\n" x 1000;
spew($victim, $precious);

# ---- what is no regular file ----

for my $case ([ 'journal', 'DELETE', '-journal' ], [ 'wal', 'WAL', '-wal' ], [ 'shm', 'WAL', '-shm' ])
{
	my ($name, $mode, $suffix) = @$case;

	for my $kind ('a FIFO', 'a FIFO that can only be read', 'a symbolic link', 'a socket', 'a folder')
	{
		my $server = $name . '_' . ($kind =~ /only/ ? 'r' : $kind =~ /FIFO/ ? 'f' : $kind =~ /link/ ? 'l' : $kind =~ /socket/ ? 's' : 'd');
		my $file = "$folder/$server.db$suffix";

		make_server($server, $mode);
		unlink $file;
		if ($kind =~ /FIFO/) { mkfifo($file, $kind =~ /only/ ? 0444 : 0666) or die $!; }
		elsif ($kind =~ /link/) { symlink($victim, $file) or die $!; }
		elsif ($kind =~ /socket/) { IO::Socket::UNIX->new(Local => $file, Listen => 1) or die $!; }
		else { mkdir $file or die $!; }
		my ($out, $err) = run_sql("SELECT * FROM $server.t; INSERT INTO $server.t(v) VALUES ('three');");
		like($err, qr/ERROR/, "$suffix is $kind: an error");
		like($err, qr/is not a regular file|is a symbolic link/, "$suffix is $kind: which tells") if $kind ne 'a folder';
		is(slurp_file($victim), $precious, "$suffix is $kind: nothing was written elsewhere");
		$kind eq 'a folder' ? rmdir $file : unlink $file;
		($out, $err) = run_sql("SELECT v FROM $server.t WHERE id = 1; INSERT INTO $server.t(v) VALUES ('three');");
		is($err, '', "$suffix was $kind: gone, and all is well");
	}
}

# a FIFO that comes while the session has the database open
make_server('late', 'DELETE');
my ($out, $err) = with_session([ 'SELECT v FROM late.t WHERE id = 1;', sub { mkfifo("$folder/late.db-journal", 0666) }, 'SELECT v FROM late.t WHERE id = 2;', "INSERT INTO late.t(v) VALUES ('x');",
	sub { unlink "$folder/late.db-journal" }, "INSERT INTO late.t(v) VALUES ('three');", 'SELECT count(*) FROM late.t;' ]);
like($out, qr/^3$/m, 'a late FIFO: goes on when it is gone');
like($err, qr/is not a regular file/, 'a late FIFO: an error before');

# ---- a hot journal that names another file as its super-journal ----

sub make_hot_journal
{
	my ($name, $super) = @_;
	my $magic = pack('H*', 'd9d505f920a163d7');
	my $sum = 0;

	$sum += $_ for unpack('C*', $super);
	my $header = $magic . pack('N5', 0, 0, (-s "$folder/$name.db") / 4096, 512, 4096);
	$header .= "\0" x (512 - length $header);
	spew("$folder/$name.db-journal", $header . pack('N', 0x40000000 / 4096 + 1) . $super . pack('NN', length $super, $sum & 0xffffffff) . $magic);
}

make_server('super', 'DELETE');
make_hot_journal('super', $victim);
($out, $err) = run_sql('SELECT * FROM super.t;');
is(slurp_file($victim), $precious, 'a journal that names another file: that one stays');
like($err, qr/names "[^"]*victim", which is no journal/, 'and the error tells');

# the same with a name that is one, as a crash in a transaction over two files leaves it
my $real = "$folder/super.db-mj0A1B2C9D3";
spew($real, "$folder/super.db-journal\0");
make_hot_journal('super', $real);
($out, $err) = run_sql('SELECT count(*) FROM super.t;');
is($err, '', 'a real super-journal: no error');
like($out, qr/^2$/m, 'the journal is rolled back');
ok(!-e $real && !-e "$folder/super.db-journal", 'and both are removed');

# ---- -shm is truncated under the map ----

for my $what ('reader', 'writer')
{
	my $name = "cut_$what";
	my $begin = $what eq 'writer' ? "BEGIN; INSERT INTO $name.t(v) VALUES ('lost');" : '';
	my $end = $what eq 'writer' ? 'COMMIT;' : '';

	make_server($name, 'WAL');
	# another process keeps the files there
	my ($in, $said) = ('', '');
	my $keeper = IPC::Run::start([ 'sqlite3', "$folder/$name.db" ], '<', \$in, '>', \$said);
	$in = "INSERT INTO t(v) VALUES ('kept');\nSELECT 'ready';\n";
	$keeper->pump until $said =~ /ready/;
	($out, $err) = with_session([ "SELECT count(*) FROM $name.t;", $begin, sub { truncate("$folder/$name.db-shm", 0) or die $! },
		# at once, so that a look at the file in the last millisecond does not count as a new one
		join("\n", "SELECT count(*) FROM $name.t;", $end, "SELECT 'again', count(*) FROM $name.t;") ]);
	unlike($err, qr/server closed|terminated/, "-shm truncated under a $what: the server stays up");
	like($out, qr/^again\|3$/m, "-shm truncated under a $what: read anew") or diag("$out\n$err");
	like($err, qr/was truncated while it was in use/, "-shm truncated under a $what: an error tells") or diag("$out\n$err");
	$keeper->kill_kill;
	is(sqlite("$folder/$name.db", 'PRAGMA integrity_check; SELECT count(*) FROM t;'), "ok\n3", "-shm truncated under a $what: the file is whole");
}

unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC|TRAP/, 'the log knows of no crash');
$node->stop;
done_testing();
