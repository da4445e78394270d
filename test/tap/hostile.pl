# A SQLite database may come from anybody.  Whatever is in it, a query is
# answered or ends with an error that can be had by cancelling within 100 ms,
# the server stays up, and nothing is lost of its memory and files.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use FindBin;
use lib $FindBin::RealBin;
use VssTest;
use Time::HiRes qw(time usleep);
use IPC::Run qw(start timeout);

my $LIMIT = 0.1;
my $TRIES = 7;
my $node = PostgreSQL::Test::Cluster->new('hostile');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf', "fsync = off\nrestart_after_crash = off\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION vss_fdw');
my $folder = $node->basedir . '/sqlite';
mkdir $folder;

# SQLite at its most careless, so that files can be damaged.
sub careless
{
	my ($file, $sql) = @_;
	return sqlite("$folder/$file", '.dbconfig defensive off', '.output', '.load ./hnsw', $sql) =~ s/^ *defensive o\w+\n?//r;
}

sub server
{
	my ($name) = @_;
	return "DROP SERVER IF EXISTS $name CASCADE; CREATE SERVER $name FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '$folder/$name.db');\n"
	  . "DROP SCHEMA IF EXISTS $name CASCADE; CREATE SCHEMA $name;\n";
}

# Run a script that goes on after errors.  Its session must reach the end.
sub outlives
{
	my ($what, $script) = @_;
	my ($code, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nSET client_min_messages = error; SET statement_timeout = '" . int(patience(120)) . "s';\n$script\nSELECT 'the end';\n",
		on_error_stop => 0, timeout => int(patience(1200)));
	like($out, qr/the end$/, "$what: the session goes on");
	unlike($err, qr/terminated|server closed|PANIC|FATAL/, "$what: the server stays up");
	unlike($err, qr/statement timeout/, "$what: nothing takes for ever");
	return ($out, $err);
}

# Run in the background, cancel, tell seconds from there to the end and what was said.
sub time_to_stop
{
	my ($query) = @_;
	my ($in, $out, $err) = ("SELECT 'pid', pg_backend_pid();\n$query\n", '', '');
	my $run = start([ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres') ],
		'<', \$in, '>', \$out, '2>', \$err, timeout(patience(180)));
	$run->pump until $out =~ /pid\|(\d+)/;
	my $pid = $1;
	usleep(300_000);
	my $since = time;
	kill 'INT', $pid;
	$run->finish;
	return (time - $since, $err);
}

# A loaded machine may answer late now and then: the best of several tries counts.
sub stops_in_time
{
	my ($what, $query) = @_;
	my ($best, $last) = (1e9, '');

	for (1 .. $TRIES)
	{
		(my $seconds, $last) = time_to_stop($query);
		$best = $seconds if $seconds < $best;
		last if $last !~ /57014/ || $best < patience($LIMIT);
	}
	like($last, qr/57014.*user request/, "$what: cancelled");
	cmp_ok($best, '<', patience($LIMIT), sprintf('%s: stopped after %.0f ms', $what, $best * 1000));
}

# ---- malformed pages ----

my $schema = q{
	CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, long TEXT, n REAL, blob BLOB);
	CREATE INDEX t_name ON t(name);
	CREATE TABLE k(a TEXT, b INT, c TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID;
	CREATE VIEW v AS SELECT name, count(*) AS c FROM t GROUP BY name;
	WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 400)
	INSERT INTO t SELECT i, 'name' || (i % 50), printf('%.*c', i * 13 % 9000, 'x'), i / 3.0, x'0011' FROM r;
	INSERT INTO k SELECT name, id, long FROM t;
	CREATE TABLE d(id INTEGER PRIMARY KEY, e TEXT);
	INSERT INTO d SELECT id, '[' || id || ',' || (id % 7) || ',1]' FROM t;
	CREATE VIRTUAL TABLE vss USING hnsw(dim=3, content=d, content_rowid=id, content_vector=e);
	DELETE FROM t WHERE id % 5 = 0;
};
careless('sound.db', "PRAGMA page_size = 1024;\n$schema");
my $queries = sub {
	my ($s) = @_;
	return "SELECT count(*) FROM $s.t; SELECT sum(length(name) + length(long) + length(blob)) FROM $s.t; SELECT name FROM $s.t WHERE id = 77; SELECT id FROM $s.t WHERE name = 'name7' ORDER BY name;\n"
	  . "SELECT sum(b), count(*) FROM $s.k; SELECT * FROM $s.k WHERE a = 'name3' AND b = 3; SELECT * FROM $s.v;\n"
	  . "SELECT t.id FROM $s.t JOIN $s.k ON k.b = t.id WHERE t.id < 20; SELECT id FROM $s.d ORDER BY e <=> '[1,2,3]' LIMIT 3; ANALYZE $s.t;\n"
	  . "BEGIN; UPDATE $s.t SET name = 'x' WHERE id < 30; UPDATE $s.t SET n = n + 1 WHERE id < 30; COMMIT; BEGIN; INSERT INTO $s.t(name, long) SELECT 'new', repeat('y', 5000) FROM generate_series(1, 20); COMMIT;\n"
	  . "BEGIN; DELETE FROM $s.k WHERE b > 300; COMMIT; BEGIN; INSERT INTO $s.d(e) VALUES ('[1,2,4]'); COMMIT;\n";
};

# A whole import and table definitions kept from the sound database: the damage
# may be in the schema.
my $tables = sub {
	my ($s) = @_;
	return "CREATE FOREIGN TABLE $s.t(id bigint, name text, long text, n double precision, blob bytea) SERVER $s;"
	  . "CREATE FOREIGN TABLE $s.k(a text, b bigint, c text) SERVER $s; CREATE FOREIGN TABLE $s.v(name text, c bigint) SERVER $s;"
	  . "CREATE FOREIGN TABLE $s.d(id bigint, e vss_vector(3)) SERVER $s;\n";
};
my ($out, $err) = outlives('a sound database', server('sound') . $tables->('sound') . $queries->('sound'));
is($err, '', 'no errors there');

careless('sound2.db', "PRAGMA page_size = 1024;\n$schema");
my $sound = slurp_file("$folder/sound2.db");
my $seed = 20240229;
my $random = sub { $seed = ($seed * 1103515245 + 12345) & 0x7fffffff; return ($seed >> 8) % $_[0]; };
my $pages = length($sound) / 1024;
my $script = '';
for my $i (1 .. 40)
{
	my $bytes = $sound;
	my $name = "bad$i";

	# a few bytes of b-tree pages' headers, cell pointers and cells; a page of another; noise; a cut
	for (0 .. $i % 6)
	{
		my $page = $random->($i % 4 == 0 ? 4 : $pages);
		my $at = $page * 1024 + ($page == 0 ? 100 : 0) + $random->($i % 3 == 0 ? 12 : 900);
		substr($bytes, $at, 1) = chr($random->(256));
	}
	substr($bytes, (1 + $random->($pages - 1)) * 1024, 1024) = substr($bytes, (1 + $random->($pages - 1)) * 1024, 1024) if $i % 5 == 0;
	substr($bytes, (1 + $random->($pages - 1)) * 1024, 1024) = join '', map { chr $random->(256) } 1 .. 1024 if $i % 7 == 0;
	$bytes = substr($bytes, 0, 1024 * (2 + $random->($pages - 2))) if $i % 11 == 0;
	open(my $fh, '>:raw', "$folder/$name.db") or die;
	print $fh $bytes;
	close $fh;
	$script .= server($name) . $tables->($name) . $queries->($name) . "IMPORT FOREIGN SCHEMA main EXCEPT (t, k, v, d) FROM SERVER $name INTO $name;\n";
}
($out, $err) = outlives('malformed pages', $script);
my @corrupt = $err =~ /ERROR:  XX001/g;
cmp_ok(scalar @corrupt, '>=', 40, scalar(@corrupt) . ' errors say that a file is corrupt');
my %states = map { $_ => 1 } $err =~ /ERROR:  (\w{5}):/g;
delete @states{ 'XX001', 'HV000', 'HV004', 'HV00R', 'HV005', '42P07', '25P02', '42P01', '22P02', '22000', '42804', '23505', '42601' };
is(join(' ', sort keys %states), '', 'errors are of the kinds that are documented');

# ---- a schema edited to nonsense ----

my @edits = (
	"UPDATE sqlite_schema SET sql = 'CREATE TABLE t(' WHERE name = 't'",
	"UPDATE sqlite_schema SET sql = 'CREATE nothing' WHERE name = 't_name'",
	"UPDATE sqlite_schema SET rootpage = 0 WHERE name = 't'",
	"UPDATE sqlite_schema SET rootpage = 1 WHERE name = 't'",
	"UPDATE sqlite_schema SET rootpage = 99999 WHERE name = 't'",
	"UPDATE sqlite_schema SET rootpage = -7 WHERE name = 't'",
	"UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'k') WHERE name = 't'",
	"UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 't') WHERE name = 't_name'",
	"UPDATE sqlite_schema SET sql = NULL WHERE name = 't'",
	"UPDATE sqlite_schema SET sql = x'ff00fe', name = x'ff'",
	"UPDATE sqlite_schema SET type = 'nonsense'",
	"UPDATE sqlite_schema SET name = 'sqlite_x', tbl_name = 'sqlite_x' WHERE name = 't'",
	"INSERT INTO sqlite_schema SELECT * FROM sqlite_schema",
	"UPDATE sqlite_schema SET sql = 'CREATE VIEW v AS SELECT * FROM v' WHERE name = 'v'",
	"UPDATE sqlite_schema SET sql = 'CREATE VIRTUAL TABLE vss USING hnsw(dim=-1, content=vss, content_rowid=nothing, content_vector=v)' WHERE name = 'vss'",
	"UPDATE sqlite_schema SET sql = 'CREATE VIRTUAL TABLE vss USING nothing(x)' WHERE name = 'vss'",
	"UPDATE sqlite_schema SET sql = 'CREATE VIRTUAL TABLE vss USING hnsw(dim=3, path=''/etc/passwd'')' WHERE name = 'vss'",
	"UPDATE vss_config SET value = CASE key WHEN 'counter' THEN -5 WHEN 'current' THEN '../../../etc/passwd' ELSE 1000000000 END",
	"UPDATE sqlite_schema SET sql = replace(sql, 'id INTEGER PRIMARY KEY', 'id') WHERE name = 't'",
	"UPDATE sqlite_schema SET sql = 'CREATE TABLE k(a, b)' WHERE name = 'k'",
	"UPDATE sqlite_schema SET sql = 'CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT COLLATE gone, long AS (id + name), n CHECK (gone(n)), blob DEFAULT (gone()))' WHERE name = 't'");
$script = '';
for my $i (0 .. $#edits)
{
	my $name = "edit$i";
	careless("$name.db", "PRAGMA page_size = 1024;\n$schema");
	careless("$name.db", "PRAGMA writable_schema = on; $edits[$i];");
	$script .= server($name) . "IMPORT FOREIGN SCHEMA main FROM SERVER $name INTO $name; DROP SCHEMA $name CASCADE; CREATE SCHEMA $name;\n" . $tables->($name) . $queries->($name);
}
($out, $err) = outlives('an edited schema', $script);
like($err, qr/malformed database schema/, 'a schema that cannot be read is named as such');

# ---- work without end ----

careless('endless.db', q{
	CREATE TABLE t(id INTEGER PRIMARY KEY, a INT);
	INSERT INTO t VALUES (1, 1), (2, 2);
	CREATE VIEW endless AS WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT n FROM r;
	CREATE VIEW never AS SELECT n FROM endless WHERE n < 0;
	CREATE VIEW grows AS WITH RECURSIVE r(s) AS (SELECT 'x' UNION ALL SELECT s || 'x' FROM r) SELECT count(DISTINCT s) AS n FROM r;
	CREATE TRIGGER tr_i AFTER INSERT ON t BEGIN SELECT max(n) FROM never; END;
	CREATE TRIGGER tr_u AFTER UPDATE ON t BEGIN UPDATE t SET a = (SELECT max(n) FROM never) WHERE id = old.id; END;
	CREATE TRIGGER tr_d BEFORE DELETE ON t BEGIN INSERT INTO t(a) SELECT n FROM never; END;
	CREATE TABLE checked(id INTEGER PRIMARY KEY, a INT);
	CREATE TRIGGER checked_i AFTER INSERT ON checked BEGIN SELECT count(*) FROM endless; END;
});
my $s = 'endless';
$node->safe_psql('postgres', server($s) . "
	CREATE FOREIGN TABLE $s.t(id bigint, a bigint) SERVER $s; CREATE FOREIGN TABLE $s.never(n bigint) SERVER $s; CREATE FOREIGN TABLE $s.grows(n bigint) SERVER $s;
	CREATE FOREIGN TABLE $s.checked(id bigint, a bigint) SERVER $s;");
stops_in_time('a view without end', "SELECT max(n) FROM $s.never;");
stops_in_time('a view that takes memory without end', "SELECT * FROM $s.grows;");
stops_in_time('an INSERT trigger', "INSERT INTO $s.t(a) VALUES (1);");
stops_in_time('a trigger of a batch', "INSERT INTO $s.checked SELECT i, i FROM generate_series(1, 500) i;");
stops_in_time('an UPDATE trigger, by rows', "UPDATE $s.t SET a = a + 1;");
stops_in_time('an UPDATE trigger, as one statement', "UPDATE $s.t SET a = 1;");
stops_in_time('a DELETE trigger', "DELETE FROM $s.t;");
is(careless('endless.db', 'SELECT count(*), sum(a) FROM t'), '2|3', 'nothing of it was written');
# import looks at rows of views, for a while
my $since = time;
($out, $err) = outlives('import of views without end', server('endless') . 'IMPORT FOREIGN SCHEMA main LIMIT TO (never, endless, grows, t) FROM SERVER endless INTO endless;');
cmp_ok(time - $since, '<', 15, 'import gives up looking');

# views that multiply: SQLite expands them before it runs anything
careless('bomb.db', 'CREATE TABLE t(a INT); INSERT INTO t VALUES (1); CREATE VIEW v0 AS SELECT a FROM t;'
	  . join('', map { my $p = $_ - 1; "CREATE VIEW v$_ AS SELECT x.a FROM v$p x UNION ALL SELECT y.a FROM v$p y;" } 1 .. 17));
($out, $err) = outlives('views that multiply', server('bomb') . 'CREATE FOREIGN TABLE bomb.v10(a bigint) SERVER bomb; CREATE FOREIGN TABLE bomb.v17(a bigint) SERVER bomb; SELECT \'v10\', count(*) FROM bomb.v10; SELECT count(*) FROM bomb.v17;');
like($out, qr/^v10\|1024$/m, 'they are counted');
like($err, qr/ERROR.*(too many references|takes too much memory)/, 'or are too many');

# ---- sizes ----

my $deep = '1' . ' + a' x 400;
careless('sizes.db', 'CREATE TABLE wide(' . join(', ', map { "c$_ INT" } 1 .. 2000) . '); INSERT INTO wide(c1, c2000) VALUES (1, 2000);'
	  . "CREATE TABLE t(a INT); INSERT INTO t VALUES (1); CREATE VIEW deep AS SELECT $deep AS d FROM t;"
	  . 'CREATE VIEW many AS ' . join(' UNION ALL ', ('SELECT a FROM t') x 400) . ';'
	  . "CREATE TABLE \"" . ('n' x 60000) . "\"(a INT); CREATE TABLE named(\"" . ('c' x 60000) . "\" INT, \"" . ('c' x 60000) . "d\" INT);"
	  . "CREATE TABLE big(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO big VALUES (1, printf('%.*c', 30000000, 'v'));");
$s = 'sizes';
($out, $err) = outlives('sizes', server($s) . "IMPORT FOREIGN SCHEMA main LIMIT TO (wide) FROM SERVER $s INTO $s; IMPORT FOREIGN SCHEMA main LIMIT TO (named) FROM SERVER $s INTO $s; IMPORT FOREIGN SCHEMA main EXCEPT (wide, named) FROM SERVER $s INTO $s;\n"
	  . "CREATE FOREIGN TABLE $s.widest(c1 int, c2000 int) SERVER $s OPTIONS (\"table\" 'wide'); CREATE FOREIGN TABLE $s.values(id bigint, v text) SERVER $s OPTIONS (\"table\" 'big');\n"
	  . "CREATE FOREIGN TABLE $s.depth(d bigint) SERVER $s OPTIONS (\"table\" 'deep'); CREATE FOREIGN TABLE $s.compound(a bigint) SERVER $s OPTIONS (\"table\" 'many');\n"
	  . "SELECT 'wide', * FROM $s.widest; UPDATE $s.widest SET c2000 = 7 RETURNING 'wider', c2000; SELECT 'deep', d FROM $s.depth; SELECT 'many', count(*) FROM $s.compound; SELECT 'big', length(v) FROM $s.values; UPDATE $s.values SET v = repeat('w', 20000000); SELECT 'less', length(v) FROM $s.values;\n");
like($out, qr/^wide\|1\|2000$/m, 'a table of 2,000 columns is read');
like($out, qr/^wider\|7$/m, 'and written');
like($out, qr/^deep\|401$/m, 'a deep expression');
like($out, qr/^many\|400$/m, 'many parts');
like($out, qr/^big\|30000000$/m, 'a long value');
like($out, qr/^less\|20000000$/m, 'written, too');

# ---- text that is none ----

careless('text.db', q{
	CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT);
	INSERT INTO t VALUES (1, 'good'), (2, CAST(x'616200636400' AS TEXT)), (3, CAST(x'ff41' AS TEXT)), (4, CAST(x'eda080' AS TEXT)), (5, CAST(x'c0af' AS TEXT)), (6, CAST(x'f48fbfbf' AS TEXT));
	CREATE TABLE names(x INT);
	PRAGMA writable_schema = on;
	UPDATE sqlite_schema SET name = CAST(x'6eff' AS TEXT), tbl_name = CAST(x'6eff' AS TEXT), sql = CAST(x'435245415445205441424c4520226eff222822ff2220494e5429' AS TEXT) WHERE name = 'names';
});
$s = 'text';
($out, $err) = outlives('text that is none', server($s) . "CREATE FOREIGN TABLE $s.t(id bigint, v text) SERVER $s;" . join('', map { "SELECT id, v FROM $s.t WHERE id = $_;\n" } 1 .. 6)
	  . "SELECT count(*) FROM $s.t WHERE v = 'ab'; IMPORT FOREIGN SCHEMA main FROM SERVER $s INTO $s; SELECT id FROM $s.t WHERE v < 'z' ORDER BY v;");
like($out, qr/^1\|good$/m, 'a good row');
unlike($out, qr/^[2345]\|/m, 'no row with a zero byte or invalid UTF-8');
like($out, qr/^6\|/m, 'the last character of Unicode is one');
my @refused = $err =~ /ERROR:  (?:HV004|22021)/g;
cmp_ok(scalar @refused, '>=', 4, 'each is an error');

# ---- functions named by a schema ----

careless('calls.db', q{
	CREATE TABLE d(id INTEGER PRIMARY KEY, e TEXT);
	INSERT INTO d VALUES (1, '[1,2,3]');
	CREATE VIRTUAL TABLE vss USING hnsw(dim=3, content=d, content_rowid=id, content_vector=e);
	CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT);
	INSERT INTO t VALUES (1, 'x');
	CREATE VIEW saves AS SELECT hnsw_save('vss') AS v;
	CREATE VIEW rebuilds AS SELECT hnsw_rebuild('vss') AS v;
	CREATE VIEW asks AS SELECT get_embedding('text', 'http://127.0.0.1:1/') AS v;
	CREATE VIEW configures AS SELECT embed_config('url', 'http://127.0.0.1:1/') AS v;
	CREATE VIEW loads AS SELECT load_extension('/tmp/x.so') AS v;
	CREATE VIEW reads AS SELECT readfile('/etc/passwd') AS v;
	CREATE VIEW sums AS SELECT vss_sum(v) AS v FROM t;
	CREATE VIEW models AS SELECT hnsw_model('vss', 'x') AS v;
	CREATE VIEW tokenizes AS SELECT hex(fts3_tokenizer('simple')) AS v;
	CREATE VIEW statements AS SELECT sql AS v FROM sqlite_stmt;
	CREATE TABLE checked(v TEXT);
	CREATE TABLE triggered(v TEXT);
	CREATE TRIGGER triggered_i AFTER INSERT ON triggered BEGIN SELECT fts3_tokenizer('e', x'4141414141414141'); END;
	CREATE TABLE loading(v TEXT);
	CREATE TRIGGER loading_i AFTER INSERT ON loading BEGIN SELECT load_extension('/tmp/x.so'); END;
	PRAGMA writable_schema = on;
	UPDATE sqlite_schema SET sql = 'CREATE TABLE checked(v TEXT CHECK (fts3_tokenizer(''e'', x''4141414141414141'') IS NOT NULL))' WHERE name = 'checked';
});
$s = 'calls';
my @views = qw(saves rebuilds asks configures loads reads sums models tokenizes statements);
($out, $err) = outlives('functions named by views', server($s) . join('', map { "CREATE FOREIGN TABLE $s.$_(v text) SERVER $s; SELECT '$_', v FROM $s.$_;\n" } @views));
my @no = $err =~ /unsafe use of|no such function|not authorized|may not be used|not an integer|wrong number of arguments|is prohibited/g;
is(scalar @no, scalar @views, 'none of them may be called') or diag($err);
ok(!-e "$folder/calls-vss.hnsw", 'nothing was saved');
($out, $err) = outlives('functions named by constraints and triggers', join('', map { "CREATE FOREIGN TABLE $s.$_(v text) SERVER $s; INSERT INTO $s.$_ VALUES ('x');\n" } qw(checked triggered loading)));
my @unsafe = $err =~ /unsafe use of|not authorized|fts3tokenize disabled/g;
is(scalar @unsafe, 3, 'nor there') or diag($err);

# ---- errors leave nothing behind ----

$script = server('leak') . "CREATE FOREIGN TABLE leak.t(id bigint, name text, long text, n double precision, blob bytea) SERVER leak; CREATE FOREIGN TABLE leak.k(a text, b bigint, c text) SERVER leak;";
my $bytes = $sound;
substr($bytes, $_ * 1024, 12) = "\x05\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" for 6 .. $pages - 1;
open(my $fh, '>:raw', "$folder/leak.db") or die;
print $fh $bytes;
close $fh;
my $state = q{SELECT 'state', substring(pg_read_file('/proc/' || pg_backend_pid() || '/status') FROM 'VmRSS:\s*(\d+)'), (SELECT count(*) FROM pg_ls_dir('/proc/' || pg_backend_pid() || '/fd'));} . "\n";
my $loop = sub {
	my ($n) = @_;
	return "DO \$\$ DECLARE x text; errors int := 0; BEGIN FOR i IN 1 .. $n LOOP"
	  . join('', map { " BEGIN $_; EXCEPTION WHEN data_corrupted OR fdw_error OR fdw_invalid_data_type OR character_not_in_repertoire THEN errors := errors + 1; END;" }
		  ('SELECT sum(length(long)) INTO x FROM leak.t', "UPDATE leak.t SET long = 'x'", 'DELETE FROM leak.k', "SELECT min(v) INTO x FROM text.t", "INSERT INTO leak.k VALUES ('a' || i, i, repeat('x', 3000))"))
	  . " END LOOP; IF errors < 3 * $n THEN RAISE EXCEPTION 'only % errors', errors; END IF; END \$\$;\n";
};
($out, $err) = outlives('errors again and again', $script . $loop->(200) . $state . $loop->(1500) . $state);
is($err, '', 'all of them caught');
my @state = $out =~ /^state\|(\d+)\|(\d+)$/mg;
is(scalar @state, 4, 'measured twice');
cmp_ok($state[2] - $state[0], '<', 1500, sprintf('7,500 errors took %d kB', $state[2] - $state[0]));
cmp_ok($state[3] - $state[1], '<', 3, 'and no file');

unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC|TRAP/, 'the log knows of no crash');
$node->stop;
done_testing();
