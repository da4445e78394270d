# Database files that were damaged, or made to do harm, through a live server:
# no backend is lost, none works on much longer than statement_timeout, none
# grows without end.  MUTATIONS says how many files (60), MUTATION_SEED which;
# "make check-files" takes 10,000.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use POSIX qw(sysconf _SC_CLK_TCK);

my $files = $ENV{MUTATIONS} || 60;
my $seed = $ENV{MUTATION_SEED} || 1;
my $AT_ONCE = 20;    # files a session
my $TIMEOUT = 2;     # statement_timeout, seconds
my $LIMIT = $TIMEOUT + 0.2;    # of processor time a statement
my $PAGE = 1024;

my $node = PostgreSQL::Test::Cluster->new('mutations');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf', "fsync = off\nrestart_after_crash = off\nlog_min_messages = fatal\n");
$node->start;
$node->safe_psql('postgres', "CREATE EXTENSION vss_fdw;
	CREATE FUNCTION cpu() RETURNS numeric LANGUAGE sql AS \$\$ SELECT f[12]::numeric + f[13]::numeric FROM (SELECT string_to_array(substring(pg_read_file('/proc/self/stat') FROM '\\) (.*)'), ' ') f) x \$\$");
my $folder = $node->basedir . '/sqlite';
mkdir $folder;

sub sqlite
{
	my ($file, $sql) = @_;
	my $input = ".dbconfig defensive off\n.load ./hnsw\n$sql\n";
	my ($out, $err);

	# a hostile statement may fail, or not end
	IPC::Run::run([ 'timeout', '-k', '1', '60', 'sqlite3', '-batch', "$folder/$file" ], '<', \$input, '>', \$out, '2>', \$err);
	return $err;
}

# A generator of our own: the same files everywhere.
my $state;
sub seeded { $state = $_[0] * 2654435761 & 0xffffffff; }
sub random { $state = ($state * 1103515245 + 12345) & 0xffffffff; return ($state >> 12) % $_[0]; }
sub pick { return $_[ random(scalar @_) ]; }

# ---- the sound databases ----

my $common = "PRAGMA page_size = $PAGE;" . q{
	CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT CHECK (name <> ''), long TEXT, n REAL, blob BLOB, j TEXT CHECK (json_valid(j)), g AS (json_extract(j, '$.a')));
	CREATE INDEX t_name ON t(name);
	CREATE INDEX t_j ON t(json_extract(j, '$.a'));
	CREATE TABLE k(a TEXT, b INT, c TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID;
	CREATE VIEW v AS SELECT name, count(*) AS c FROM t GROUP BY name;
	WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 120)
	INSERT INTO t SELECT i, 'name' || (i % 20), printf('%.*c', i * 13 % 3000, 'x'), i / 3.0, x'0011', json_object('a', i) FROM r;
	INSERT INTO k SELECT name, id, long FROM t;
	CREATE TABLE d(id INTEGER PRIMARY KEY, e TEXT);
	INSERT INTO d SELECT id, '[' || id || ',' || (id % 7) || ',1]' FROM t;
	CREATE VIRTUAL TABLE ft USING fts5(body);
	INSERT INTO ft SELECT name FROM t WHERE id < 30;
	CREATE VIRTUAL TABLE rt USING rtree(id, x0, x1);
	INSERT INTO rt SELECT id, id, id + 1 FROM t WHERE id < 30;
};
my %sound = (
	content => "$common CREATE VIRTUAL TABLE vss USING hnsw(dim=3, content=d, content_rowid=id, content_vector=e); DELETE FROM t WHERE id % 5 = 0;",
	own => "$common CREATE VIRTUAL TABLE vss USING hnsw(dim=3); CREATE TRIGGER d_i AFTER INSERT ON d BEGIN SELECT hnsw_add(new.id, new.e); END; SELECT count(hnsw_add(id, e)) FROM d;");
my %bytes;
for my $name (sort keys %sound)
{
	is(sqlite("$name.db", $sound{$name}), '', "a sound database ($name)");
	$bytes{$name} = slurp_file("$folder/$name.db");
}

# ---- changes ----

my @pieces = ('vss', 't', 'k', 'd', 'v', 'name', 'id', 'e', 'dim=3', 'vss_config', 'vss_delta', 'hnsw', 'INTEGER PRIMARY KEY', 'BEGIN', 'new', 'WITHOUT ROWID', 'fts5', 'rtree', 'json_valid', 'count(*)', 'TEXT', 'SELECT', 'gone()', '(', ')');
my @keys = qw(format id dim metric m ef ef_search path content content_rowid content_vector counter current hidden tuned);
my @values = ("'vss'", "'d'", "'v'", "'t'", "'k'", "'ft'", "'vss_delta'", "'rowid'", "'embedding'", '-1', '0', '16000', '9223372036854775807', '1e300', 'NULL', 'zeroblob(4000)', "'0011223344556677 3'", "'../../x'", "'40 3'");
my @statements = (
	"CREATE TRIGGER h AFTER INSERT ON vss_delta BEGIN SELECT hnsw_add(new.label + 1, '[1,2,3]'); END;",
	"DROP TABLE d; CREATE VIEW d AS SELECT rowid AS id, embedding AS e FROM vss;",
	"DROP TABLE vss_config; CREATE VIEW vss_config AS SELECT rowid AS key, embedding AS value FROM vss;",
	"DROP TABLE vss_delta; CREATE TABLE vss_delta(seq, tag, label, vector);",
	"UPDATE vss_delta SET seq = -seq, vector = zeroblob(12);",
	"CREATE TRIGGER h AFTER INSERT ON t BEGIN INSERT INTO t(name, j) SELECT 'again', '{}' FROM t; END; PRAGMA recursive_triggers = on;",
	"CREATE TRIGGER h AFTER UPDATE ON t BEGIN SELECT load_extension('x'); END;",
	"DROP VIEW v; CREATE VIEW v AS WITH RECURSIVE r(c) AS (SELECT 1 UNION ALL SELECT c + 1 FROM r) SELECT 'x' AS name, c FROM r;",
	"DROP VIEW v; CREATE VIEW v AS SELECT hex(randomblob(1000000)) AS name, zeroblob(100000000) AS c FROM t;",
	"DROP VIEW v; CREATE VIEW v AS SELECT fts3_tokenizer('simple') AS name, 1 AS c;",
	"DROP VIEW v; CREATE VIEW v AS SELECT sql AS name, 1 AS c FROM sqlite_stmt;",
	"UPDATE ft_data SET block = x'00ff00ff00ff00ff';",
	"UPDATE rt_node SET data = zeroblob(10);",
	"UPDATE t SET name = x'ff00', n = 'many', j = '{}';",
	"UPDATE d SET e = 'no vector';",
	"CREATE TRIGGER h INSTEAD OF INSERT ON v BEGIN SELECT 1; END; DROP TABLE k; CREATE VIEW k AS SELECT name AS a, c AS b, name AS c FROM v;");

sub mutate
{
	my ($i) = @_;
	my $kind;
	my $out = "m$i.db";

	seeded($seed * 1000003 + $i);
	my $bytes = $bytes{ pick('content', 'own') };
	my $pages = length($bytes) / $PAGE;
	$kind = random(8);

	if ($kind < 5)
	{
		for (0 .. random(6))
		{
			my $page = $kind == 4 ? random(4) : random($pages);
			substr($bytes, $page * $PAGE + ($page == 0 ? 100 : 0) + random($kind == 3 ? 12 : 900), 1) = chr(random(256));
		}
		substr($bytes, 16 + random(84), 1) = chr(random(256)) if random(10) == 0;
		substr($bytes, (1 + random($pages - 1)) * $PAGE, $PAGE) = substr($bytes, (1 + random($pages - 1)) * $PAGE, $PAGE) if random(5) == 0;
		substr($bytes, (1 + random($pages - 1)) * $PAGE, $PAGE) = join '', map { chr random(256) } 1 .. $PAGE if random(7) == 0;
		$bytes = substr($bytes, 0, $PAGE * (2 + random($pages - 2))) if random(11) == 0;
	}
	open(my $fh, '>:raw', "$folder/$out") or die;
	print $fh $bytes;
	close $fh;
	if ($kind >= 5)
	{
		my $sql = '';
		for (0 .. random(3))
		{
			my $what = random(3);
			$sql .= pick(@statements) . "\n" if $what == 0;
			$sql .= 'INSERT OR REPLACE INTO vss_config VALUES (' . "'" . pick(@keys) . "', " . pick(@values) . ");\n" if $what == 1;
			$sql .= "PRAGMA writable_schema = on;\nUPDATE sqlite_schema SET sql = replace(sql, '" . pick(@pieces) . "', '" . pick(@pieces) . "') WHERE rowid % 5 = " . random(5) . ";\nPRAGMA writable_schema = reset;\n" if $what == 2;
		}
		sqlite($out, $sql);
	}
	if (random(12) == 0)
	{
		# a hot journal, or what looks like a log
		my $journal = pick(pack('H*', 'd9d505f920a163d7') . pack('N5', random(3), random(100), random(200), 512, $PAGE), pack('N8', 0x377f0682, 3007000, $PAGE, 0, 1, 2, 3, 4));
		open($fh, '>:raw', "$folder/$out-" . pick('journal', 'wal', 'shm')) or die;
		print $fh $journal . join('', map { chr random(256) } 1 .. random(4000));
		close $fh;
	}
}

sub statements_of
{
	my ($s) = @_;
	return ("DROP SERVER IF EXISTS $s CASCADE", "CREATE SERVER $s FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '$folder/$s.db')", "CREATE SCHEMA $s",
		"CREATE FOREIGN TABLE $s.t(id bigint, name text, long text, n double precision, blob bytea, j text, g bigint) SERVER $s",
		"CREATE FOREIGN TABLE $s.k(a text, b bigint, c text) SERVER $s", "CREATE FOREIGN TABLE $s.v(name text, c bigint) SERVER $s", "CREATE FOREIGN TABLE $s.d(id bigint, e vss_vector(3)) SERVER $s",
		"SELECT count(*), sum(length(name) + length(long)) FROM $s.t", "SELECT name, g FROM $s.t WHERE id = 77", "SELECT id FROM $s.t WHERE name = 'name7' ORDER BY n LIMIT 3",
		"SELECT sum(b), count(*) FROM $s.k", "SELECT * FROM $s.k WHERE a = 'name3' AND b = 3", "SELECT sum(length(name)) FROM $s.v", "SELECT count(*) FROM $s.t JOIN $s.k ON k.b = t.id WHERE t.id < 20",
		"SELECT id FROM $s.d ORDER BY e <=> '[1,2,3]' LIMIT 3", "SELECT id FROM $s.d WHERE e <-> '[1,2,3]' < 5", "ANALYZE $s.t",
		"UPDATE $s.t SET name = 'x' WHERE id < 30", "INSERT INTO $s.t(name, long, j) SELECT 'new', repeat('y', 3000), '{\"a\":1}' FROM generate_series(1, 20)", "DELETE FROM $s.k WHERE b > 60",
		"INSERT INTO $s.d(e) VALUES ('[1,2,4]')", "UPDATE $s.d SET e = '[9,9,9]' WHERE id = 3", "DELETE FROM $s.d WHERE id = 4", "TRUNCATE $s.k",
		"IMPORT FOREIGN SCHEMA main EXCEPT (t, k, v, d) FROM SERVER $s INTO $s", "SELECT count(*) FROM $s.vss", "SELECT vss_exec('$s', 'SELECT hnsw_check(); SELECT hnsw_save(); PRAGMA integrity_check')",
		"DROP SCHEMA $s CASCADE", "DROP SERVER $s CASCADE", "SELECT vss_fdw_disconnect_all()");
}

# ---- the run ----

my ($done, $errors, $lost, $hangs, $longest) = (0, 0, 0, 0, 0);
my $tick = sysconf(_SC_CLK_TCK);
for (my $first = 1; $first <= $files; $first += $AT_ONCE)
{
	my $script = "\\set VERBOSITY verbose\nSET client_min_messages = error; SET statement_timeout = '${TIMEOUT}s'; SET vss_fdw.auto_merge = off;\n";
	my $last = $first + $AT_ONCE - 1 < $files ? $first + $AT_ONCE - 1 : $files;

	for my $i ($first .. $last)
	{
		my $n = 0;

		mutate($i);
		$script .= "SELECT 'cpu', 'm$i', " . $n++ . ", cpu();\n$_;\n" for statements_of("m$i");
		$script .= "SELECT 'cpu', 'm$i', $n, cpu();\n";
	}
	my ($code, $out, $err) = $node->psql('postgres', "$script\\echo the end\n", on_error_stop => 0, timeout => 3600);
	if ($out !~ /the end$/)
	{
		my @at = $out =~ /^cpu\|(m\d+)\|(\d+)\|/mg;
		$lost++;
		diag("lost, after statement $at[-1] of file $at[-2], seed $seed: " . substr($err, -400));
		last unless $node->poll_query_until('postgres', 'SELECT true');
	}
	$errors++ while $err =~ /ERROR:/g;
	my ($file, $before) = ('', 0);
	while ($out =~ /^cpu\|(m\d+)\|(\d+)\|([\d.]+)$/mg)
	{
		my $seconds = $1 eq $file ? ($3 - $before) / $tick : 0;
		$longest = $seconds if $seconds > $longest;
		if ($seconds > $LIMIT)
		{
			$hangs++;
			diag("statement " . ($2 - 1) . " of file $1, seed $seed, took $seconds s of processor time");
		}
		($file, $before) = ($1, $3);
	}
	$done += $last - $first + 1;
	unlink glob "$folder/m*";
}
is($done, $files, "$files files, $errors errors");
is($lost, 0, 'no backend is lost');
is($hangs, 0, sprintf('no statement takes more than %.1f s of processor time, the longest took %.2f', $LIMIT, $longest));
cmp_ok($errors, '>', $files, 'most of them are found out');
unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC|TRAP/, 'the log knows of no crash');
$node->stop;
done_testing();
