# INSERT ... ON CONFLICT over foreign tables against local tables with the same
# rows and constraints: random statements give the same rows, the same errors and
# leave the same tables.
#
# UPSERTS and UPSERT_SEED say how many and which.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $count = $ENV{UPSERTS} // 1500;
my $seed = $ENV{UPSERT_SEED} // 1;
srand($seed);

my $node = PostgreSQL::Test::Cluster->new('upsert');
$node->init;
# the planner hook must be there for a session's first command
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\nsession_preload_libraries = 'vss_fdw'\n");
$node->start;
my $file = $node->basedir . '/upsert.db';

my %tables = (
	rows => 'id bigint PRIMARY KEY, name text NOT NULL UNIQUE, n bigint CHECK (n >= 0), m text',
	pairs => 'a text, b bigint, n bigint, m text, PRIMARY KEY (a, b)',
	keyless => 'name text, n bigint, m text');
my %keys = (rows => [ [ 'id' ], [ 'name' ] ], pairs => [ [ 'a', 'b' ], [ 'b', 'a' ] ], keyless => [ [ 'name', 'n' ] ]);
my %columns = (rows => [ 'id', 'name', 'n', 'm' ], pairs => [ 'a', 'b', 'n', 'm' ], keyless => [ 'name', 'n', 'm' ]);

my $sqlite = '';
my $local = "CREATE SCHEMA local;\n";
for my $table (sort keys %tables)
{
	my $kind = $table eq 'pairs' ? ' WITHOUT ROWID' : '';
	my $definition = $tables{$table} =~ s/\bid bigint/id INTEGER/r;
	$sqlite .= "CREATE TABLE $table($definition)$kind;\n";
	$local .= "CREATE TABLE local.$table($tables{$table});\n";
}
$sqlite .= "CREATE UNIQUE INDEX keyless_index ON keyless(name, n);\n";
$local .= "CREATE UNIQUE INDEX keyless_index ON local.keyless(name, n);\n";
run_command([ 'sqlite3', $file, $sqlite ]);
$node->safe_psql('postgres', "CREATE EXTENSION vss_fdw; CREATE SERVER s FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '$file');"
	. "CREATE SCHEMA remote; IMPORT FOREIGN SCHEMA main FROM SERVER s INTO remote; $local");

# ---- random statements ----

sub pick { return $_[ int rand @_ ] }

sub value
{
	my ($column) = @_;

	# SQLite gives a rowid to a NULL
	return 'NULL' if rand() < 0.04 && $column ne 'id';
	return int rand 12 if $column eq 'id' || $column eq 'b';
	return int(rand 12) - (rand() < 0.05 ? 12 : 0) if $column eq 'n';
	return "'" . pick('a' .. 'f') . "'";
}

sub rows
{
	my ($columns) = @_;
	my $rows = rand() < 0.5 ? 1 : 1 + int rand 4;

	return join ', ', map { '(' . join(', ', map { value($_) } @$columns) . ')' } 1 .. $rows;
}

sub expression
{
	my ($table, $column) = @_;

	# SQLite's error for a NULL in its rowid is another
	return 'coalesce(' . expression($table, 'b') . ', 1)' =~ s/\bb\b/id/gr if $column eq 'id';
	return pick("excluded.$column", "$table.$column + 1", "excluded.n + coalesce($table.n, 0)", "CASE WHEN $table.n > 5 THEN 1 ELSE excluded.$column END", '3') if $column =~ /^(id|b|n)$/;
	return pick("excluded.$column", "$table.$column || excluded.$column", "'c'", "coalesce($table.m, excluded.m, 'x')", "upper($table.$column)");
}

sub statement
{
	my $table = pick(sort keys %tables);
	my $key = pick(@{ $keys{$table} });
	my @columns = @{ $columns{$table} };
	my $source;

	@columns = grep { my $c = $_; rand() < 0.8 || $c eq 'id' || grep { $_ eq $c } @$key } @columns;
	$source = 'VALUES ' . rows(\@columns);
	$source = 'SELECT ' . join(', ', map { /^(id|b)$/ ? "$_ + " . int(rand 3) : $_ } @columns) . " FROM $table ORDER BY " . join(", ", 1 .. @columns) . " LIMIT " . int(rand 5) if rand() < 0.15;

	my $sql = "INSERT INTO $table(" . join(', ', @columns) . ") $source ON CONFLICT ";
	if (rand() < 0.2)
	{
		$sql .= (rand() < 0.3 ? '' : '(' . join(', ', @$key) . ') ') . 'DO NOTHING';
	}
	else
	{
		my @set = grep { rand() < 0.5 } @{ $columns{$table} };
		@set = ('m') unless @set;
		$sql .= '(' . join(', ', @$key) . ') DO UPDATE SET ' . join(', ', map { "$_ = " . expression($table, $_) } @set);
		$sql .= " WHERE " . pick("$table.n < 8", 'excluded.n IS NOT NULL', "$table.m IS DISTINCT FROM excluded.m") if rand() < 0.3;
	}
	# who was inserted is asked by xmax
	$sql .= ' RETURNING ' . pick('*', join(', ', @$key), 'xmax = 0 AS inserted', "coalesce(m, '-') AS m, n") if rand() < 0.7;
	return $sql;
}

my @statements = map { statement() } 1 .. $count;
my $script = '';
for my $i (0 .. $#statements)
{
	$script .= "\\echo $i\n";
	$script .= "DELETE FROM " . pick(sort keys %tables) . " WHERE n % 3 = " . int(rand 3) . ";\n" if rand() < 0.1;
	$script .= "BEGIN;\n" if $i % 50 == 20;
	$script .= "$statements[$i];\n";
	$script .= pick('COMMIT', 'ROLLBACK') . ";\n" if $i % 50 == 24;
}
$script .= "SELECT * FROM $_ ORDER BY 1, 2, 3;\n" for sort keys %tables;

sub run_in
{
	my ($schema) = @_;
	my ($out, $err);

	IPC::Run::run([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ], '<', \"\\set VERBOSITY sqlstate\nSET search_path = $schema;\nSET client_min_messages = error;\n$script", '>', \$out, '2>&1')
	  or die 'psql failed';
	return $out;
}

my $expected = run_in('local');
my $got = run_in('remote');
my %want = map { /^(\d+)\n(.*)/s ? ($1 => $2) : () } split /^(?=\d+$)/m, $expected;
my %have = map { /^(\d+)\n(.*)/s ? ($1 => $2) : () } split /^(?=\d+$)/m, $got;
my $wrong = 0;

for my $i (0 .. $#statements)
{
	next if ($want{$i} // '') eq ($have{$i} // '');
	diag("seed $seed, statement $i: $statements[$i]\nexpected: $want{$i}\ngot: $have{$i}") if $wrong++ < 3;
}
is($wrong, 0, "$count random statements");
is($got, $expected, 'and the tables after them');
cmp_ok(scalar(() = $expected =~ /^ERROR:  23505/mg), '>', $count / 100, 'some of them break a constraint');
cmp_ok(scalar(() = $expected =~ /^ERROR:  21000/mg), '>', 3, 'some meet a row twice');
cmp_ok(scalar(() = $expected =~ /^f$/mg), '>', $count / 100, 'some update');
cmp_ok(scalar(() = $expected =~ /^t$/mg), '>', $count / 100, 'some insert');

$node->stop;
done_testing();
