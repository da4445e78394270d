# Random INSERT, UPDATE and DELETE on the tables a and w of RandomRows, with
# joins, subqueries and RETURNING or without.  Each names at most one new value
# for a row, so that there is one answer.
package RandomChanges;
use strict;
use warnings;
use RandomRows;
use RandomExpressions;
use Exporter 'import';
our @EXPORT = qw(random_change);

sub condition_of
{
	my (@aliases) = @_;
	return within(\@aliases, sub { condition(1) });
}

# A new value for a column of x; of others in scope, too.
sub assignment
{
	my @in = @_;
	return within(
		\@in,
		sub {
			my $t = pick(@in);
			my $int = sub { pick("$t.s2", 'x.s2', "$t.id::int", int(rand(40)) - 20, "length($t.k2)") };
			my $big = sub { pick("$t.i4", "$t.id", 'x.i4', "$t.s2", '9223372036854775807', '3::bigint') };
			my $op = sub { pick(' + ', ' - ', ' * ', ' / ', ' % ') };
			my $k = rand;
			return 's2 = ' . pick("$t.s2", 'x.id::int') . $op->() . $int->() if $k < 0.2;
			return 's2 = -(' . pick("$t.s2", 'x.id::int') . $op->() . $int->() . ')' if $k < 0.3;
			return 'i4 = ' . pick("$t.i4", 'x.id') . $op->() . $big->() if $k < 0.4;
			return 't1 = ' . pick("$t.t1", "$t.t2", "$t.t1 || x.k2", "'new'", 'NULL', 'DEFAULT') if $k < 0.48;
			return 'r8 = ' . pick("$t.r8", '1.5', 'CASE WHEN ' . condition(0) . " THEN $t.r8 END", "$t.r8 + 1", "$t.r8 * 2.5", '(x.r8 - 1e300) / 3', "$t.r8 * 1e300", "$t.r8 / x.s2", 'x.k1 / 7::float8') if $k < 0.6;
			return 'f1 = (' . condition(1) . ')' if $k < 0.68;
			return 'n1 = ' . pick("$t.n1", "$t.s2", '3', '(' . pick(@numerics) . ')::numeric') if $k < 0.73;
			return 'd1 = ' . pick("$t.d1", "$t.d2", "$t.ts::date", literal('date'), "$t.d1 + 1") if $k < 0.79;
			return 'ts = ' . pick("$t.ts", literal('timestamp'), "$t.d2::timestamp", "$t.ts0") if $k < 0.84;
			return '(k1, t1) = (' . pick("$t.k1", '3') . ', ' . value('text', 0) . ')' if $k < 0.87;
			return '(k1, i4) = (SELECT max(e.k1), min(e.i4) FROM b e WHERE e.id = x.k1)' if $k < 0.9;
			my $type = pick(qw(text bytea uuid bpchar varchar numeric float4 time timestamptz));
			my %column = (text => [ 't2', 'v1', 'vs', 'k2' ], bytea => ['b1'], uuid => ['u1'], bpchar => ['cn'], varchar => ['vn'], numeric => [ 'nt', 'np', 'nx' ], float4 => ['r4'], time => ['tm'], timestamptz => ['tz']);
			return pick($column{$type}->@*) . ' = ' . value($type, 1);
		});
}

sub random_change
{
	my $k = rand;
	my $returning = pick('', ' RETURNING x.id', ' RETURNING x.*', ' RETURNING x.id, x.r8, x.k1 + 1');
	my $t = pick('a', 'a', 'w');
	# one row of y at most for each of x
	my $from = 'b y WHERE y.id = ' . pick('x.k1', 'x.id', 'x.id') . ' AND ' . condition_of('y') . ' AND ' . condition_of('x');
	$from = 'b y LEFT JOIN a z ON z.id = y.k1 AND ' . condition_of('z') . substr($from, 3) . pick('', ' AND (z.id IS NULL OR ' . condition_of('z') . ')') if chance(0.3);
	my $exists = ' WHERE ' . pick('', 'NOT ') . 'EXISTS (SELECT 1 FROM b y WHERE y.id = x.k1 AND ' . condition_of('y') . ') AND ' . condition_of('x');
	return "DELETE FROM $t x WHERE " . condition_of('x') . $returning if $k < 0.1;
	return "DELETE FROM $t x USING $from$returning" if $k < 0.22;
	return "DELETE FROM $t x$exists$returning" if $k < 0.3;
	return "UPDATE $t x SET " . assignment('x') . ' WHERE ' . condition_of('x') . $returning if $k < 0.52;
	return "UPDATE $t x SET " . assignment('x', 'y') . " FROM $from" . pick('', '', ' RETURNING x.id', ' RETURNING x.id, y.t1') if $k < 0.76;
	return "UPDATE $t x SET " . assignment('x') . $exists . $returning if $k < 0.86;
	my $columns = join(', ', pick('k1', 'k1, i4', 's2, r8'), pick('t1', 't1, d2', 'ts, n1, b1', 'u1, cn, nt', 'f1, tz'));
	return "INSERT INTO a AS x (id, $columns) SELECT id " . pick('+ 1000', '+ 100', '') . ", $columns FROM b WHERE " . condition_of('b') . pick('', ' ON CONFLICT DO NOTHING', ' ON CONFLICT DO NOTHING') . $returning if $k < 0.94;
	return "WITH d AS (DELETE FROM $t x WHERE " . condition_of('x') . ' RETURNING *) SELECT count(*), max(d.k1) FROM d' if $k < 0.97;
	return 'WITH d AS (UPDATE a x SET ' . assignment('x') . ' WHERE ' . condition_of('x') . ' RETURNING x.*) SELECT d.id, y.id AS y_id FROM d LEFT JOIN b y ON y.id = d.k1';
}

1;
