# Whose files may be opened, and that reading them never locks out their owner.
#
# SQLite gives -wal and -shm files the mode of the database, but the user and
# group of the process that makes them: a server that merely reads another
# user's database could leave files that this user cannot write.
#
# The tests with a second operating-system user need root: then the server runs
# as postgres and the databases belong to nobody.  They are skipped otherwise.
# Programs come from PG_CONFIG; the extension must be installed there.
use strict;
use warnings;
use File::Temp qw(tempdir);
use IPC::Run qw(start timeout);
use Test::More;
use FindBin;
use lib $FindBin::RealBin;
use VssTest;

my $is_root = $> == 0;
my ($server, $owner, $group) = ('postgres', 'nobody', 'nogroup');
my $server_uid = $is_root ? getpwnam($server) : $>;
my $owner_uid = getpwnam($owner);
my $owner_gid = getgrnam($group);
plan skip_all => "there is no user $server to run a server as" unless defined $server_uid;

my $bin = `@{[ $ENV{PG_CONFIG} // 'pg_config' ]} --bindir`;
chomp $bin;
my $base = tempdir('vss_permissions.XXXXXX', TMPDIR => 1, CLEANUP => 1);
chmod 0755, $base;
mkdir "$base/server";
chown $server_uid, -1, "$base/server" if $is_root;

# Run as a user; supplementary groups only those given.  Dies on failure unless told.
sub as_user
{
	my ($uid, $gid, $groups, @command) = @_;
	return @command unless $is_root;
	return ('setpriv', "--reuid=$uid", "--regid=$gid", @$groups ? '--groups=' . join(',', @$groups) : '--clear-groups', @command);
}

sub as_server
{
	return as_user($server_uid, (getpwuid($server_uid))[3], [$owner_gid], @_);
}

sub run_ok
{
	my (@command) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run(\@command, '<', \'', '>', \$out, '2>', \$err) or die "@command: $err";
	return $out;
}

# sqlite3 as a user: output and errors together
sub owner_sqlite { return sqlite_says([ as_user($owner_uid, $owner_gid, []) ], @_) }
sub server_sqlite { return sqlite_says([ as_user($server_uid, (getpwuid($server_uid))[3], []) ], @_) }

# ---- a server ----

run_ok(as_server("$bin/initdb", '-D', "$base/server/data", '-A', 'trust', '-U', 'postgres', '--no-sync'));
run_ok(as_server("$bin/pg_ctl", '-w', '-D', "$base/server/data", '-l', "$base/server/log", '-o',
	"-F -k $base/server -c listen_addresses=''", 'start'));
END
{
	if (defined $base && -e "$base/server/data/postmaster.pid")
	{
		my $status = $?;
		system(as_server("$bin/pg_ctl", '-s', '-m', 'immediate', '-D', "$base/server/data", 'stop'));
		$? = $status;
	}
}

# One session; output and errors.
sub psql
{
	my ($sql) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run([ "$bin/psql", '-XAtq', '-h', "$base/server", '-U', 'postgres', '-v', 'VERBOSITY=verbose', 'postgres' ],
		'<', \$sql, '>', \$out, '2>', \$err);
	chomp $out;
	return ($out, $err);
}

my $servers = 0;

# Read table t of a file in a session of its own.
sub read_through_server
{
	my ($file, $options) = @_;
	my $name = 's' . ++$servers;
	return psql("CREATE SERVER $name FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '$file'"
		  . ($options ? ", $options" : '') . ");
		CREATE FOREIGN TABLE ${name}_t (id bigint) SERVER $name OPTIONS (\"table\" 't');
		SELECT sum(id) FROM ${name}_t;");
}

my ($out, $err) = psql('CREATE EXTENSION vss_fdw');
is($err, '', 'the extension is there');

# ---- the server's own files ----

sub folder
{
	my ($name, $uid, $gid, $mode) = @_;
	my $path = "$base/$name";
	mkdir $path;
	if ($is_root) { chown $uid, $gid, $path }
	chmod $mode, $path;
	return $path;
}

my $own = folder('own', $server_uid, -1, 0755);
server_sqlite("$own/a.db", 'PRAGMA journal_mode = wal; CREATE TABLE t(id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2)');
($out, $err) = read_through_server("$own/a.db");
is($out, '3', 'a database of the server\'s own user is read');
chmod 0000, "$own/a.db";
($out, $err) = read_through_server("$own/a.db");
like($err, qr/42501: could not read SQLite database .*Permission denied.*HINT:/s, 'an unreadable file');
chmod 0644, "$own/a.db";
chmod 0000, $own;
($out, $err) = read_through_server("$own/a.db");
like($err, qr/42501: could not access SQLite database .*Permission denied.*HINT:.*enter all folders/s,
	'a folder that cannot be entered');
chmod 0755, $own;

# ---- another user's ----

SKIP:
{
	skip 'a second operating-system user needs root', 30 unless $is_root && defined $owner_uid;

	# Make a database of the owner's: WAL or not, with this mode, in this folder.
	my $make = sub {
		my ($path, $mode, $wal) = @_;
		my $file = "$path/app.db";
		my $folder_mode = (stat $path)[2] & 07777;
		chmod $folder_mode | 0700, $path;
		my $said = owner_sqlite($file, ($wal ? 'PRAGMA journal_mode = wal;' : '')
			  . 'CREATE TABLE t(id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2)');
		chmod $mode, $file;
		return $file;
	};
	my $owner_writes = sub {
		my ($file, $what) = @_;
		is(owner_sqlite($file, 'INSERT INTO t DEFAULT VALUES; SELECT count(*) > 2 FROM t'), '1', "$what: the owner writes");
	};

	# the trap: readable by all, in a folder that all may write
	my $file = $make->(folder('trap', $owner_uid, $owner_gid, 0777), 0644, 1);
	($out, $err) = read_through_server($file);
	like($err, qr/42501: refusing to open SQLite database .*locked out.*DETAIL:.*-wal and -shm.*HINT:.*2770/s,
		'a WAL database 0644 in a folder of all is refused');
	is_deeply([ glob("$base/trap/*") ], [$file], 'nothing was left beside it');
	$owner_writes->($file, 'after the refusal');
	($out, $err) = read_through_server($file, "read_only 'true'");
	like($err, qr/42501: refusing to open/, 'read_only does not help a WAL database');
	$owner_writes->($file, 'after the second refusal');
	($out, $err) = read_through_server($file, "immutable 'true'");
	isnt($out, '', 'immutable does');
	is_deeply([ glob("$base/trap/*") ], [$file], 'and leaves nothing beside it');

	symlink $file, "$own/link.db";
	($out, $err) = read_through_server("$own/link.db");
	like($err, qr/42501: refusing to open/, 'nor does a symbolic link in another folder');
	is_deeply([ glob("$base/trap/*") ], [$file], 'nothing was left beside the file it leads to');

	# that this is no theory: sqlite3 as the server's user locks the owner out
	my $victim = $make->(folder('victim', $owner_uid, $owner_gid, 0777), 0644, 1);
	my $reader = start([ as_server('sqlite3', $victim) ], '<', \(my $in = "SELECT sum(id) FROM t;\n.shell sleep 0.1\n.shell kill -9 \$PPID\n"),
		'>', \(my $sum), '2>', \(my $errors), timeout(patience(180)));
	eval { $reader->finish };
	like(owner_sqlite($victim, 'INSERT INTO t DEFAULT VALUES'), qr/readonly|unable to open/,
		'(a mere reader that dies does lock the owner out)');

	# the same without WAL: reading makes no files
	$file = $make->(folder('rollback', $owner_uid, $owner_gid, 0777), 0644, 0);
	($out, $err) = read_through_server($file);
	is("$out$err", '3', 'a rollback-journal database 0644 is read');
	$owner_writes->($file, 'after reading');
	is_deeply([ glob("$base/rollback/*") ], [$file], 'and nothing lies beside it');

	# writable by all: everybody can use everybody's files
	$file = $make->(folder('all', $owner_uid, $owner_gid, 0777), 0666, 1);
	($out, $err) = read_through_server($file);
	is("$out$err", '3', 'a WAL database 0666 is read');
	$owner_writes->($file, 'after reading');

	# a folder that we cannot write: no files of ours, ever
	$file = $make->(folder('closed', $owner_uid, $owner_gid, 0755), 0644, 1);
	($out, $err) = read_through_server($file);
	like($err, qr/HINT:.*WAL mode.*immutable/s, 'a WAL database that no one has open cannot be read from a closed folder');
	($out, $err) = read_through_server($file, "immutable 'true'");
	is("$out$err", '3', 'but as an immutable one');
	my $app = { in => "INSERT INTO t DEFAULT VALUES;\nSELECT 'open';\n", out => '' };
	$app->{run} = start([ as_user($owner_uid, $owner_gid, [], 'sqlite3', $file) ], '<', \$app->{in}, '>', \$app->{out}, timeout(patience(180)));
	$app->{run}->pump until $app->{out} =~ /open/;
	($out, $err) = read_through_server($file);
	is("$out$err", '6', 'while its application is running it is');
	($out, $err) = read_through_server($file, "immutable 'true'");
	like($err, qr/55000: refusing to open .*as immutable: file "[^"]*-wal" is not empty.*HINT:/s, 'but not as immutable while changes lie beside it');
	$app->{in} .= "INSERT INTO t DEFAULT VALUES;\nSELECT count(*) FROM t;\n.quit\n";
	$app->{run}->finish;
	like($app->{out}, qr/4/, 'and the application goes on writing');
	$owner_writes->($file, 'afterwards');

	# a group that both are in (the server was started with it)
	$file = $make->(folder('shared', $owner_uid, $owner_gid, 02770), 0660, 1);
	($out, $err) = read_through_server($file);
	is("$out$err", '3', 'a WAL database 0660 in a setgid folder of a common group is read');
	$owner_writes->($file, 'after reading');
	# a session that has it open right now
	my $session = { in => "SET client_min_messages = error; SELECT 'sum', sum(id) FROM s${servers}_t;\n", out => '' };
	$session->{run} = start([ "$bin/psql", '-XAtq', '-h', "$base/server", '-U', 'postgres', 'postgres' ],
		'<', \$session->{in}, '>', \$session->{out}, timeout(patience(180)));
	$session->{run}->pump until $session->{out} =~ /sum/;
	$owner_writes->($file, 'while a session has it open');
	my @beside = map { [ (stat $_)[ 2, 5 ] ] } glob("$file-*");
	ok(@beside > 0, 'there are -wal and -shm files');
	is_deeply([ grep { ($_->[0] & 0777) != 0660 || $_->[1] != $owner_gid } @beside ], [], 'of mode and group of the database');
	$session->{in} .= "\\q\n";
	$session->{run}->finish;

	$file = $make->(folder('not_setgid', $owner_uid, $owner_gid, 0770), 0660, 1);
	($out, $err) = read_through_server($file);
	like($err, qr/42501: refusing to open/, 'the same in a folder without setgid is refused');
	$owner_writes->($file, 'after that');
	$file = $make->(folder('writer', $owner_uid, $owner_gid, 0770), 0660, 0);
	($out, $err) = read_through_server($file);
	like($err, qr/42501: refusing to open.*-journal.*read_only/s, 'a writable rollback-journal database there, too');
	($out, $err) = read_through_server($file, "read_only 'true'");
	is("$out$err", '3', 'but not with read_only');

	# graph and lock files: everybody who may write the database may merge
	my $all = folder('all', $owner_uid, 0, 0777);
	my $hnsw = sub {
		my ($uid, $sql) = @_;
		my $said = '';
		IPC::Run::run([ as_user($uid, $uid == 0 ? 0 : $owner_gid, [], 'sqlite3', '-bail', '-cmd', ".load $base/hnsw", "$all/a.db", $sql) ],
			'<', \'', '>', \$said, '2>&1');
		chomp $said;
		return $said;
	};
	my $access = sub { my @st = stat "$all/$_[0]"; return sprintf '%o %d', $st[2] & 0777, $st[4] };
	run_ok('cp', 'hnsw.so', "$base/hnsw.so");
	is($hnsw->($owner_uid, "CREATE VIRTUAL TABLE one USING hnsw(dim=2); CREATE VIRTUAL TABLE two USING hnsw(dim=2);
		INSERT INTO one(rowid, embedding) VALUES (1, '[1,2]'); INSERT INTO two(rowid, embedding) VALUES (1, '[1,2]')"), '', 'an index of the owner\'s');
	chown $owner_uid, 0, "$all/a.db"; # a group that the server is no member of
	chmod 0666, "$all/a.db";
	($out, $err) = psql("CREATE SERVER everyone FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '$all/a.db');
		IMPORT FOREIGN SCHEMA main FROM SERVER everyone INTO public; SELECT vss_merge('one');");
	is($err, '', 'the server merges it');
	is($access->('a.db-one.hnsw-lock'), "666 $server_uid", 'its lock file is everybody\'s, as the database is');
	is($access->('a.db-one.hnsw'), "666 $server_uid", 'so is the graph');
	is($hnsw->($owner_uid, "INSERT INTO one(rowid, embedding) VALUES (2, '[2,2]'); SELECT hnsw_save('one')"), '2', 'the owner merges it then');
	is($hnsw->(0, "SELECT hnsw_save('two')"), '1', 'root merges the other');
	is($access->('a.db-two.hnsw-lock') . ', ' . $access->('a.db-two.hnsw'), "666 $owner_uid, 666 $owner_uid", 'and gives its files to the database\'s owner');
}

done_testing();
