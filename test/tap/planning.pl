# Planning does as much work as the query is long: an expression is looked at once
# each time that it is asked about, not once for each level of it.  The work is
# counted in nodes looked at, which the server's log tells at level debug3.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('planning');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\njit = off\nmax_stack_depth = '6MB'\n");
$node->start;

my $file = $node->basedir . '/planning.db';
IPC::Run::run([ 'sqlite3', '-bail', $file ], '<', \q{
	CREATE TABLE t(id INTEGER PRIMARY KEY, i INT, s TEXT, f REAL, d DATE);
	CREATE INDEX t_i ON t(i, s);
	CREATE INDEX t_s ON t(s, i);
	WITH RECURSIVE c(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM c WHERE k < 100)
	INSERT INTO t SELECT k, k % 10, 's' || (k % 7), k / 8.0, date('2024-01-01', k || ' days') FROM c;
}, '>', '/dev/null') or die 'sqlite3 failed';
chmod 0666, $file;
$node->safe_psql('postgres', qq{
	CREATE EXTENSION vss_fdw;
	CREATE SERVER s FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '$file');
	CREATE FOREIGN TABLE t(id bigint, i bigint, s text, f double precision, d date) SERVER s;
});

# Nodes looked at while the query is planned, and its plan.
sub plan
{
	my ($query) = @_;
	my ($plan, $log);
	$node->psql('postgres', "SET statement_timeout = '5min'; SET client_min_messages = debug3; EXPLAIN (COSTS OFF) $query", stdout => \$plan, stderr => \$log, on_error_die => 1);
	my $nodes = 0;
	$nodes += $1 while $log =~ /looked at (\d+) nodes of an expression/g;
	return ($nodes, $plan);
}

my %operands = (
	'||' => sub { join(' || ', ('s') x $_[0]) . " = 'x'" },
	'+' => sub { join(' + ', ('i') x $_[0]) . ' = 1' },
	'&' => sub { join(' & ', ('i') x $_[0]) . ' = 1' },
	'nullif' => sub { 'nullif(' x $_[0] . 'i' . ', 5)' x $_[0] . ' = 1' },
	'case' => sub { 'CASE ' x $_[0] . 'i' . ' WHEN 1 THEN 2 WHEN 2 THEN 3 ELSE i END' x $_[0] . ' = 1' },
	'and' => sub { join(' AND ', map { "(i <> $_ OR s = 'x$_')" } 1 .. $_[0]) },
	'or' => sub { join(' OR ', map { "(i = $_ AND s = 'x$_')" } 1 .. $_[0]) },
);

for my $kind (sort keys %operands)
{
	for my $form ('SELECT id FROM t WHERE %s', 'SELECT id FROM t ORDER BY (%s), id', 'SELECT (%s), count(*) FROM t GROUP BY (%s)')
	{
		my @work;
		for my $n (20, 200)
		{
			my $text = $operands{$kind}->($n);
			(my $query = $form) =~ s/%s/$text/g;
			my ($nodes, $plan) = plan($query);
			push @work, $nodes;
			like($plan, qr/Foreign Scan/, "$kind of $n in $form is planned");
		}
		cmp_ok($work[0], '>', 0, "$kind in $form is looked at");
		cmp_ok($work[1], '<=', 15 * $work[0], "ten times as much of $kind in $form takes ten times the work, not its square");
	}
}

# A thousand operands, deeper than SQLite evaluates, are PostgreSQL's; lists are SQLite's.
for my $kind (sort keys %operands)
{
	my ($nodes, $plan) = plan('SELECT id FROM t WHERE ' . $operands{$kind}->(1000));
	cmp_ok($nodes, '<=', 60_000, "1,000 of $kind are a thousand's work");
	like($plan, $kind =~ /and|or/ ? qr/SQLite SQL: .* WHERE/ : qr/Filter: /, "1,000 of $kind are evaluated where they should be");
}

# Thousands of different constants would keep SQLite compiling for longer than the query takes ...
my (undef, $plan) = plan('SELECT id FROM t WHERE ' . $operands{or}->(10_000));
like($plan, qr/Filter: /, '10,000 parts of OR stay in PostgreSQL');
# ... those of one column are a list.
(undef, $plan) = plan('SELECT id FROM t WHERE ' . join(' OR ', map { "i = $_" } 1 .. 10_000));
like($plan, qr/IN \(SELECT value FROM json_each\(\?1\)\)/, '10,000 values of one column are one array');
is($node->safe_psql('postgres', 'SELECT count(*) FROM t WHERE ' . join(' OR ', map { 'i = ' . ($_ + 5) } 0 .. 9_999)), '50', 'and mean the same');

$node->stop;
done_testing();
