# Random SELECT statements over the tables of RandomRows.  Every maker returns
# [kind, query, whether its rows come in one certain order]; each query has one
# right answer, so that LIMIT, DISTINCT ON, frames of windows and the like stand
# only over an order that decides.
#
# What of SELECT's grammar is made here: WITH (nested, recursive, materialized),
# ALL, DISTINCT, DISTINCT ON, set-returning functions, whole rows, subqueries
# everywhere, joins of every kind (USING, NATURAL, LATERAL), functions in FROM,
# ROWS FROM, ORDINALITY, VALUES, TABLE, TABLESAMPLE (of local tables: foreign
# ones have none), row comparisons, ANY and ALL, GROUP BY with GROUPING SETS,
# ROLLUP, CUBE and DISTINCT, HAVING, FILTER, ordered-set and hypothetical-set
# aggregates, WINDOW with frames and exclusion, UNION, INTERSECT and EXCEPT,
# ORDER BY with USING and NULLS, LIMIT, OFFSET, FETCH with and without ties,
# locking clauses, parameters.
package RandomSelects;
use strict;
use warnings;
use RandomRows;
use RandomExpressions;
use Exporter 'import';
our @EXPORT = qw(random_select);

sub down { return pick('', ' DESC', ' NULLS FIRST', ' DESC NULLS LAST') }
sub where { return chance($_[0]) ? ' WHERE ' . condition($_[1]) : '' }

sub limit
{
	return pick(
		' LIMIT ' . pick(0, 1, 3, 7, 1000, 'NULL', 'NULL::int', '-1', '(SELECT 3)', '(SELECT NULL::int)', '(SELECT -2)', '2 + 1', 'ALL'),
		' OFFSET ' . pick(0, 2, 500, 'NULL', '-1', '(SELECT 2)'),
		' LIMIT ' . pick(2, 5, '(SELECT 4)', 'NULL') . ' OFFSET ' . pick(0, 1, 3, 500, '(SELECT 2)', '(SELECT NULL::int)', '(SELECT -1)', 'NULL'),
		' FETCH FIRST ' . pick(1, 4) . ' ROWS ' . pick('ONLY', 'WITH TIES'));
}

# ---- one table ----

sub scan_query
{
	@scope = (pick('a', 'a', 'b', 'c', 'w'));
	return [ 'scan', "SELECT $scope[0].id, " . outputs(2) . " FROM $scope[0] WHERE " . condition(2), 0 ];
}

sub plain_scan_query
{
	@scope = ('a');
	my $type = pick(qw(int8 int8 int2 text bytea bool float8 float4 varchar bpchar date timestamp timestamptz time uuid numeric numeric));
	my $c = column($type) . pick(' = ', ' <> ', ' = ') . literal($type);
	$c .= ' AND ' . column('int8') . pick(' < ', ' >= ', ' <> ') . literal('int8') if chance(0.5);
	# infinite dates fail, so that no other condition may decide whether they are looked at
	$c = '(' . value('date', 0) . ' - ' . value('date', 0) . ')' . pick(' > ', ' <= ', ' = ') . pick(0, 30, -1, 365) if chance(0.1);
	return [ 'plain', "SELECT id, t1 FROM a WHERE $c", 0 ];
}

# Conditions that reach indexes on columns which compare through a reader.
sub bounds_query
{
	@scope = ('a');
	my $type = pick(qw(date date timestamp timestamp timestamptz uuid varchar bpchar numeric numeric));
	my $column = column($type);
	my $value = literal($type);
	my $c = $type eq 'numeric' ? pick("$column = $value", "$column BETWEEN $value AND " . literal($type), "$column > $value",
		"$column BETWEEN least($value, 1) AND greatest($value, 0)")
	  : $type =~ /^(date|timestamp)/ ? pick("$column = $value", "$column >= $value AND $column < " . literal($type),
		"$column BETWEEN " . literal(pick('date', $type)) . ' AND ' . literal(pick('date', $type)), "$value < $column",
		"$column >= " . literal('date'))
	  : pick("$column = $value", "$value = $column");
	$c = "NOT ($c)" if chance(0.1);
	$c .= pick(' AND ', ' OR ') . condition(0) if chance(0.2);
	return [ 'bounds', "SELECT id FROM a WHERE $c", 0 ];
}

# A statement with parameters, which the harness runs by a generic plan.
sub parameter_query
{
	@scope = ('a');
	my $c = pick(
		'k1 ' . pick('=', '<', '>=') . ' $1', 'id BETWEEN $1 AND $1 + 20', 't1 ' . pick('=', '<>') . ' $2', "k2 = \$2 AND k1 < \$1", 'r8 > $3',
		'd1 ' . pick('=', '<', '>=') . ' $4', 'ts >= $5 AND ts < $5 + interval \'1 year\'', 'n1 = $6', 'i4 = $7', 'k1 = ANY ($8)', 'd2 BETWEEN $4 AND $5::date', '($1 IS NULL OR k1 = $1)',
		'coalesce($7, k1) = 3', 'k1 = ALL ($8)', 'i4 IS NOT DISTINCT FROM $7');
	$c .= pick(' AND ', ' OR ') . condition(1) if chance(0.4);
	my $tail = chance(0.3) ? ' ORDER BY ' . pick('id', 'i4, id', 'id DESC') . ' LIMIT ' . pick('$1', '4') . pick('', ' OFFSET $1') : '';
	return [ 'parameter', 'SELECT id, ' . pick('t1', '$1 AS p', '$2 || t1 AS p') . " FROM a WHERE $c$tail", $tail ne '' ];
}

sub order_query
{
	@scope = ('a');
	my @order = map {
		pick('i4', 's2', 'k1', 't1', 't2', 'r8', 'f1', 'd1', 'k2', 'b1', 'ts', 'ts0', 'tz', 'tm', 'u1', 'r4', 'cn COLLATE "C"',
			'vn COLLATE "C"', 'd2', 'n1', 'nt', 'np', 'extract(doy FROM d1)', "date_part('second', ts)", "date_trunc('year', tz)",
			'extract(epoch FROM tm)', '(k1, s2)', 'k1 IS NULL', 'k1 = 3')
		  . down()
	} 1 .. pick(1 .. 2);
	push @order, pick('i4 USING >', 's2 USING <', 't1 COLLATE "C" USING ~<~') if chance(0.1);
	my $limit = chance(0.6) ? ' LIMIT ' . pick(0, 1, 5, 1000) . (chance(0.4) ? ' OFFSET ' . pick(0, 3, 500) : '') : '';
	return [ 'order', 'SELECT id, t1 FROM a' . where(0.5, 1) . ' ORDER BY ' . join(', ', @order) . ", id$limit", 1 ];
}

sub distinct_query
{
	@scope = ('a');
	return [ 'distinct', 'SELECT DISTINCT ' . join(', ', map { pick('k1', 'k2', 't2', 'f1', 's2', 'r8', 'b1', 'd1', 'ts', 'u1', 'vn', 'cn', 'n1', 'np') } 1 .. 2)
		  . ' FROM a WHERE ' . condition(1), 0 ];
}

sub distinct_on_query
{
	@scope = (pick('a', 'a', 'b', 'w'));
	my @on = map { tame_column() } 1 .. pick(1, 1, 2);
	my $order = join(', ', (map { $_ . down() } @on), 'id' . down());
	return [ 'distinct on', 'SELECT DISTINCT ON (' . join(', ', @on) . ') ' . join(', ', @on, 'id', outputs(1)) . " FROM $scope[0]" . where(0.5, 1) . " ORDER BY $order" . (chance(0.4) ? limit() : ''), 1 ];
}

# LIMIT is certain only above an order that decides; FETCH WITH TIES also above one that does not.
sub limit_query
{
	my $limit = limit();
	my $down = down();
	return pick(
		sub {
			@scope = ('a');
			return [ 'limit', 'SELECT id, ' . outputs(1) . ' FROM a' . where(0.5, 1) . ' ORDER BY ' . pick('', 'k1, ', 'i4 DESC, ', 'k2 COLLATE "C", ') . "id$down$limit", 1 ];
		},
		sub { return [ 'limit', 'SELECT k1, count(*) AS c, max(i4) FROM a GROUP BY k1 ORDER BY ' . pick('', 'c DESC, ', 'max(s2), ', 'sum(np) DESC, ', 'max(d1), ') . "k1$down$limit", 1 ] },
		sub { return [ 'limit', 'SELECT DISTINCT k1, ' . pick('f1 FROM a ORDER BY f1::int', 's2 FROM a ORDER BY s2', 's2 FROM a ORDER BY s2') . ", k1$down$limit", 1 ] },
		sub { return [ 'limit', 'SELECT a.id, b.id AS b_id, b.t1 FROM a ' . pick('JOIN', 'LEFT JOIN') . " b ON a.k1 = b.k1 ORDER BY a.id, b.id$down$limit", 1 ] },
		sub { return [ 'limit', "SELECT id, row_number() OVER (ORDER BY id) FROM a ORDER BY id$limit", 1 ] },
		sub { return [ 'ties', 'SELECT ' . pick('k1', 's2', 'k1, s2') . ' FROM ' . pick('a', 'b', 'w') . " ORDER BY k1, s2$down FETCH FIRST " . pick(0, 1, 3, 11) . ' ROWS WITH TIES', 1 ] },
		sub { return [ 'limit', "SELECT a.id, x.id AS x_id FROM a, LATERAL (SELECT id FROM b WHERE b.k1 = a.k1 ORDER BY b.id$down$limit) x WHERE a.id < 30 ORDER BY 1, 2", 1 ] })->();
}

# ---- set-returning functions in the select list ----

my @sets = (
	'generate_series(1, 2) AS g', 'generate_series(1, k1) AS g', "unnest(ARRAY[k1, i4]) AS g", "unnest('{}'::int[]) AS g", 'generate_series(1, 3) AS g, unnest(ARRAY[1, 2]) AS h',
	"regexp_split_to_table(t1, 'a') AS g", "jsonb_array_elements(jsonb_build_array(k1, t1)) AS g", 'generate_series(1, generate_series(1, 2)) AS g', 'generate_series(k1, 5) + id AS g',
	"(jsonb_each_text(jsonb_build_object('k', k1, 't', t1))).*", "string_to_table(t1, NULL) AS g", 'k1 + unnest(ARRAY[1, NULL]) AS g');

sub set_query
{
	@scope = ('a');
	my $set = pick(@sets);
	return pick(
		sub { return [ 'sets', "SELECT id, $set FROM a" . where(0.6, 1) . ' ORDER BY ' . pick('', 'i4, ', 'r8, ', 't1 COLLATE "C" DESC, ', 'd1, ', 'n1 DESC, ') . 'id' . down() . (chance(0.8) ? limit() =~ s/WITH TIES/ONLY/r : ''), 1 ] },
		sub { return [ 'sets', "SELECT id, $set FROM a" . where(0.6, 1), 0 ] },
		sub { return [ 'sets', 'SELECT DISTINCT k1, generate_series(1, ' . pick('2', 'k1') . ') AS g FROM a' . where(0.6, 1) . ' ORDER BY k1, g' . down() . pick('', limit()), 1 ] },
		sub { return [ 'sets', 'SELECT k1, count(*), generate_series(1, ' . pick('2', 'max(s2)::int % 4') . ') AS g FROM a GROUP BY k1 ORDER BY k1' . pick('', limit() =~ s/WITH TIES/ONLY/r), 1 ] },
		sub { return [ 'sets', 'SELECT unnest(ARRAY[k1, s2]) AS g, count(*), max(i4) FROM a GROUP BY 1', 0 ] },
		sub { return [ 'sets', 'SELECT a.id, b.id AS b_id, generate_series(1, 2) AS g FROM a JOIN b ON a.k1 = b.k1 ORDER BY ' . pick('a.i4, ', 'b.r8, ', '') . 'a.id, b.id' . pick('', limit() =~ s/WITH TIES/ONLY/r), 1 ] },
		sub { return [ 'sets', 'SELECT id, generate_series(1, 2) AS g, row_number() OVER (ORDER BY id) FROM a ORDER BY id, g' . limit(), 1 ] })->();
}

# ---- groups ----

my @aggregates = (
	'count(*)', 'count(i4)', 'count(DISTINCT k1)', 'sum(s2)', 'sum(k1)', 'min(i4)', 'max(i4)', 'min(t1)', 'max(t2)', 'min(r8)', 'max(d1)', 'min(d2)', 'max(ts)', 'min(ts0)', 'max(tz)', 'min(tm)', 'max(r4)',
	'count(DISTINCT d1)', 'count(DISTINCT u1)', 'count(DISTINCT cn)', 'max(vn)', 'avg(k1)', 'sum(i4)', 'avg(s2)', 'bool_and(f1)', 'sum(n1)', 'sum(nt)', 'sum(nx)', 'avg(nx)', 'sum(nx) FILTER (WHERE k1 < 4)',
	'sum(np)', 'avg(n1)', 'avg(np)', 'max(n1)', 'min(np)', 'count(DISTINCT nt)', 'max(extract(second FROM ts))', 'min(extract(epoch FROM tz))', 'count(DISTINCT extract(year FROM d1))', "max(date_trunc('week', d2))",
	"max(date_part('epoch', ts))", 'sum(np) FILTER (WHERE np < 100)', 'min(ts)', 'count(*) FILTER (WHERE k1 > 3)', 'sum(k1) FILTER (WHERE f1)',
	'bool_or(f1)', 'every(k1 > 2)', 'bit_and(k1)', 'bit_or(s2)', 'sum(DISTINCT k1)', 'avg(DISTINCT s2)', 'count((k1, s2))', 'count(DISTINCT (k1, k2))', 'variance(k1)', 'stddev_pop(s2)',
	'string_agg(t1, \',\' ORDER BY id)', 'array_agg(k1 ORDER BY id DESC)', 'array_agg(DISTINCT k2 ORDER BY k2)', 'jsonb_agg(k1 ORDER BY id)', 'json_object_agg(id, k1 ORDER BY id)', 'array_agg(ARRAY[k1, s2] ORDER BY id)',
	'percentile_disc(0.5) WITHIN GROUP (ORDER BY i4)', 'percentile_cont(0.25) WITHIN GROUP (ORDER BY s2)', 'percentile_disc(ARRAY[0.1, 0.9]) WITHIN GROUP (ORDER BY d1)', 'mode() WITHIN GROUP (ORDER BY k1 DESC)',
	'rank(3) WITHIN GROUP (ORDER BY k1)', 'dense_rank(3, 0) WITHIN GROUP (ORDER BY k1, s2)', 'cume_dist(5) WITHIN GROUP (ORDER BY k1)', 'percentile_disc(0.3) WITHIN GROUP (ORDER BY np) FILTER (WHERE k1 > 2)',
	'sum(k1 + 1)', 'max(length(t1))', 'min(k2 COLLATE "C")', 'count(*) FILTER (WHERE t1 IS NULL OR k1 = ANY (\'{1,2}\'))');

sub aggregates { return join(', ', map { pick(@aggregates) } 1 .. $_[0]) }

sub aggregate_query
{
	@scope = ('a');
	my $list = aggregates(pick(1 .. 3));
	my $where = chance(0.5) ? ' WHERE ' . pick('k1 < 5', 'id > 30', 'i4 IS NOT NULL', condition(1)) : '';
	return [ 'aggregate', "SELECT $list FROM a$where", 0 ] if chance(0.4);
	my $by = pick('k1', 'k2', 'f1', 't2', 'k1, k2', 's2', 'd1', 'ts', 'tz', 'u1', 'vn', 'cn', 'tm, k1', 'n1', 'np', "date_trunc('month', ts)", 'ts0::date',
		sprintf("date_trunc('%s', %s)", pick(@units), pick('d1', 'd2', 'tz', 'ts')),
		pick('tz::date', 'ts::time', "date_trunc('month', d2)::date", "ts + interval '1 month'", "tz - interval '1 day 1 hour'", 'd2 + 1'),
		sprintf('extract(%s FROM %s)', field(0)), sprintf("date_part('%s', %s)", field(0)), sprintf('extract(%s FROM %s)::int', pick('year', 'month', 'dow'), pick('ts', 'tz', 'd1', 'd2')));
	my $having = chance(0.3) ? ' HAVING ' . pick('count(*) > 2', 'max(k1) > 3', 'sum(k1) IS NOT NULL', "max(d2) > '2000-01-01'", 'min(ts) < max(ts0)', 'sum(np) > 10', 'sum(i4) < 5.5', 'count(*) > (SELECT count(*) / 30 FROM b)') : '';
	return [ 'group', "SELECT $by, $list FROM a$where GROUP BY $by$having", 0 ];
}

my @sets_of_groups = ('GROUPING SETS ((%1$s), (%2$s), ())', 'GROUPING SETS ((%1$s, %2$s), (%1$s))', 'ROLLUP (%1$s, %2$s)', 'CUBE (%1$s, %2$s)', 'GROUPING SETS (ROLLUP (%1$s), CUBE (%2$s))', '%1$s, ROLLUP (%2$s)',
	'DISTINCT ROLLUP (%1$s), ROLLUP (%2$s)', 'GROUPING SETS ((), (), (%1$s))', 'GROUPING SETS (())');

sub grouping_query
{
	@scope = ('a');
	my ($from, $x) = pick([ 'a', '' ], [ 'a', '' ], [ 'w', '' ], [ 'a JOIN b ON a.k1 = b.k1', 'a.' ], [ 'a LEFT JOIN b ON a.id = b.id', 'b.' ], [ 'a FULL JOIN b ON a.id = b.k1', 'a.' ])->@*;
	my @by = map { $x . tame_column() } 1 .. 2;
	my $sets = sprintf(pick(@sets_of_groups), @by);
	my @shown = grep { index($sets, $_) >= 0 } @by;
	@scope = $x eq '' ? ($from) : ('a', 'b');
	my $list = join(', ', @shown, (@shown ? 'grouping(' . join(', ', @shown) . ')' : ()), 'count(*)', map { pick('sum', 'max', 'min', 'count') . "($x" . pick('k1', 's2') . ')' } 1 .. pick(0 .. 2));
	return [ 'grouping', "SELECT $list FROM $from" . where(0.4, 1) . " GROUP BY $sets" . (chance(0.3) ? ' HAVING count(*) > ' . pick(0, 2, 5) : ''), 0 ];
}

# ---- windows ----

sub window_query
{
	@scope = (pick('a', 'a', 'b', 'w'));
	my $partition = pick('', 'PARTITION BY k1 ', 'PARTITION BY k2, f1 ', 'PARTITION BY s2 > 2 ');
	my $order = pick('', 'k1, ', 'd1 DESC, ', 'r8, ', 't1 COLLATE "C", ') . 'id' . down();
	my $frame = pick('', '', ' ROWS BETWEEN 2 PRECEDING AND CURRENT ROW', ' ROWS BETWEEN UNBOUNDED PRECEDING AND 1 FOLLOWING', ' GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE TIES',
		' RANGE UNBOUNDED PRECEDING', ' ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING EXCLUDE CURRENT ROW', ' ROWS BETWEEN 3 PRECEDING AND 1 FOLLOWING EXCLUDE GROUP');
	my $over = "($partition" . "ORDER BY $order$frame)";
	my @functions = map {
		pick('row_number()', 'rank()', 'dense_rank()', 'ntile(4)', 'percent_rank()', 'lag(k1)', 'lead(t1, 2, \'-\')', 'first_value(i4)', 'last_value(d1)', 'nth_value(k2, 2)', 'sum(k1)', 'count(*)', 'max(ts)', 'min(np)',
			'count(*) FILTER (WHERE k1 > 3)', 'array_agg(id)', 'sum(s2)', 'bool_or(f1)')
		  . ' OVER ' . pick($over, 'w1')
	} 1 .. pick(1 .. 2);
	my $window = " WINDOW w1 AS $over";
	return [ 'window', 'SELECT id, ' . join(', ', @functions) . " FROM $scope[0]" . where(0.5, 1) . $window, 0 ] if chance(0.6);
	return [ 'window', 'SELECT k1, count(*), rank() OVER (ORDER BY count(*) DESC, k1), sum(sum(s2)) OVER (ORDER BY k1 ROWS 1 PRECEDING) FROM a' . (@scope = ('a') and where(0.5, 1)) . ' GROUP BY k1 ORDER BY 3' . pick('', limit()), 1 ] if chance(0.5);
	return [ 'window', 'SELECT id, ' . join(', ', @functions) . " FROM $scope[0]" . where(0.5, 1) . "$window ORDER BY id" . limit(), 1 ];
}

# ---- joins ----

sub join_query
{
	@scope = ('a', 'b');
	my $join = pick('JOIN', 'JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN');
	my $on = pick('a.k1 = b.k1', 'a.d1 = b.d1', 'a.u1 = b.u1 AND a.id < 90', 'a.ts >= b.d1 AND a.k1 = b.k1', 'a.id = b.id', 'a.id = b.k1',
		'a.k2 = b.k2 AND a.k1 = b.k1', 'a.k1 = b.k1 AND b.i4 > 0', 'a.t1 = b.t1', 'a.t2 = b.t1', '(a.k1, a.k2) = (b.k1, b.k2)');
	my $where = where(0.6, 1);
	if (chance(0.25))
	{
		# conditions of the sides, tested before a full join
		my $left = pick('a', '(SELECT * FROM a WHERE ' . pick('k1 < 6', 'id > 40', 'k2 = \'x\'', 'i4 IS NOT NULL') . ') a');
		my $right = pick('b', '(SELECT * FROM b WHERE ' . pick('k1 > 2', 'id < 30', 't1 IS NOT NULL', 'k2 <> \'y\'') . ') b');
		my $list = chance(0.5) ? 'a.id, b.id AS b_id, coalesce(a.k1, b.k1) AS k' : 'count(*), count(a.id), count(b.id), max(a.i4)';
		return [ 'full', "SELECT $list FROM $left FULL JOIN $right ON $on$where", 0 ];
	}
	return [ 'join', 'SELECT a.id, b.id AS b_id, ' . (chance(0.2) ? pick('a', 'b', 'a, b', 'b IS NULL AS n, b') : outputs(1)) . " FROM a $join b ON $on$where", 0 ];
}

# Foreign tables beside local ones, functions, values and each other.
sub mixed_query
{
	my $columns = 'id, k1, k2, i4, s2, t1';
	@scope = ('a');
	return pick(
		sub { return [ 'mixed', 'SELECT a.id, a.t1, m.id AS m_id FROM a ' . pick('JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN') . ' ' . pick('l.b m', '(SELECT * FROM l.b TABLESAMPLE ' . pick('BERNOULLI', 'SYSTEM') . ' (60) REPEATABLE (7)) m', '(TABLE l.b) m', 'w m') . ' ON a.k1 = m.k1 AND a.id ' . pick('< 40', '> m.id', '= m.id') . where(0.5, 1), 0 ] },
		sub { return [ 'mixed', "SELECT * FROM (SELECT $columns FROM a" . where(0.7, 1) . ') x ' . pick('JOIN', 'LEFT JOIN', 'FULL JOIN') . " (SELECT k1, s2 AS bs FROM b WHERE id < 30) y " . pick('USING (k1)', 'USING (k1) AS both_of'), 0 ] },
		sub { return [ 'mixed', "SELECT id, k1 FROM (SELECT id, k1 FROM a" . where(0.7, 1) . ') x NATURAL ' . pick('JOIN', 'LEFT JOIN') . ' (SELECT id, k1 FROM b) y', 0 ] },
		sub { return [ 'mixed', 'SELECT a.id, v.* FROM a JOIN (VALUES (1, \'x\'), (3, NULL), (NULL, \'z\')) v(k, l) ON v.k = a.k1' . pick('', ' AND v.l = a.k2') . where(0.5, 1), 0 ] },
		sub { return [ 'mixed', 'SELECT a.id, g.* FROM a CROSS JOIN LATERAL ' . pick("generate_series(1, a.k1) g(n)", "unnest(ARRAY[a.k1, a.i4], ARRAY[a.t1]) WITH ORDINALITY g(n, t, o)", "ROWS FROM (generate_series(1, 2), unnest(ARRAY[a.t1, a.k2])) WITH ORDINALITY g(n, t, o)", "jsonb_each(jsonb_build_object('k', a.k1)) g(key, n)") . where(0.6, 1), 0 ] },
		sub { return [ 'mixed', 'SELECT a.id, x.* FROM a LEFT JOIN LATERAL (SELECT b.id AS b_id, ' . pick('b.t1', 'a.k1 + b.k1 AS s', 'count(*) OVER () AS n') . ' FROM b WHERE b.k1 = a.k1 AND ' . within([ 'a', 'b' ], sub { condition(0) }) . ') x ON true' . where(0.5, 1), 0 ] },
		sub { return [ 'mixed', 'SELECT a.id, (SELECT ' . pick('count(*)', 'max(b.i4)', 'string_agg(b.t1, \',\' ORDER BY b.id)') . ' FROM b WHERE b.k1 = a.k1) AS v, ARRAY(SELECT b.id FROM b WHERE b.id = a.k1 OR b.k1 > a.id ORDER BY 1) AS r, ' . pick('EXISTS (SELECT 1 FROM b WHERE b.id = a.id)', 'a.k1 IN (SELECT s2 FROM b)', 'a.k1 = ALL (SELECT k1 FROM b WHERE b.id = a.id)') . ' AS e FROM a' . where(0.6, 1), 0 ] },
		sub { return [ 'mixed', 'SELECT ' . pick('a', 'a.*', 'row_to_json(a)', 'to_jsonb(a) - \'r8\'', '(a).t1', 'a IS NULL AS n', 'a.id, a') . ' FROM ' . pick('a', 'ONLY a', 'a *', 'w a', '(SELECT * FROM a) a') . where(0.6, 1), 0 ] },
		sub { return [ 'mixed', 'SELECT x.i, x.j FROM (SELECT id, k1 FROM a' . where(0.5, 1) . ') x(i, j), (SELECT max(k1) AS m FROM b) y WHERE x.j ' . pick('=', '<', '<=') . ' y.m', 0 ] },
		sub {
			@scope = ('a');
			my $rows = 'SELECT id FROM a' . where(0.7, 1) . pick(' ORDER BY id', ' ORDER BY id DESC LIMIT 4', ' ORDER BY i4, id LIMIT 5', '');
			return [ 'mixed', "$rows FOR " . pick('UPDATE', 'NO KEY UPDATE', 'SHARE', 'KEY SHARE') . pick('', ' OF a', ' NOWAIT', ' SKIP LOCKED'), $rows =~ /ORDER/ ];
		})->();
}

# A tree of joins over few rows each; full ones too, over tables, joins and filtered subqueries.
my $names;

sub tree
{
	my ($depth) = @_;
	if ($depth <= 0 || chance(0.2))
	{
		my $name = 'x' . ++$names;
		my $rows = "$name.id " . pick('< 9', 'BETWEEN 4 AND 14', 'IN (1, 2, 3, 11, 12, 57, 58)');
		my $table = pick('a', 'a', 'b', 'w');
		my $more = chance(0.5) ? ' AND ' . within([$name], sub { condition(1) }) : '';
		return ("(SELECT * FROM $table AS $name WHERE $rows$more) AS $name", $name);
	}
	my ($left, @l) = tree($depth - 1);
	my ($right, @r) = tree($depth - 1);
	my ($l, $r) = (pick(@l), pick(@r));
	my $on = "$l." . pick('id', 'k1') . " = $r." . pick('id', 'k1') . (chance(0.3) ? ' AND ' . within([ pick(@l, @r) ], sub { condition(1) }) : '');
	$on = "$l.k2 = $r.k2 AND $l.f1 = $r.f1" if chance(0.1);
	return ("($left " . pick('JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN', 'FULL JOIN') . " $right ON $on)", @l, @r);
}

sub tree_query
{
	$names = 0;
	my ($from, @in) = tree(pick(2, 2, 3));
	my $x = pick(@in);
	@scope = ($x);
	my $where = pick('', '', ' WHERE ' . condition(1), " WHERE EXISTS (SELECT 1 FROM b e WHERE e.id = $x.k1 AND " . within(['e'], sub { condition(1) }) . ')',
		" WHERE NOT EXISTS (SELECT 1 FROM b e WHERE e.id = $x.k1)");
	return [ 'tree', 'SELECT ' . join(', ', map { "$_.id AS $_" } @in) . ", $x.k2, $x.r8 FROM $from$where", 0 ] if chance(0.8);
	return [ 'tree', 'SELECT count(*), ' . join(', ', map { "sum($_.id), count($_.k2)" } @in) . " FROM $from$where", 0 ];
}

# ---- set operations and WITH ----

sub branch
{
	my ($columns, $depth) = @_;
	if ($depth > 0 && chance(0.4))
	{
		return '(' . branch($columns, $depth - 1) . pick(' UNION ', ' UNION ALL ', ' INTERSECT ', ' EXCEPT ', ' INTERSECT ALL ', ' EXCEPT ALL ') . branch($columns, $depth - 1) . ')';
	}
	@scope = (pick('a', 'b', 'b', 'w', 'c'));
	return "(SELECT $columns FROM $scope[0]" . where(0.8, 1) . pick('', '', ' ORDER BY ' . ($columns =~ /\bid\b/ ? 'id' : "$columns") . ' LIMIT 9') . ')';
}

sub union_query
{
	my $columns = join(', ', map { tame_column() } 1 .. pick(1, 2));
	my $query = branch($columns, 1) . pick(' UNION ', ' UNION ALL ', ' INTERSECT ', ' EXCEPT ', ' INTERSECT ALL ', ' EXCEPT ALL ') . branch($columns, 2);
	return [ 'union', "$query ORDER BY " . join(', ', map { $_ + 1 } 0 .. ($columns =~ tr/,//)) . pick('', limit() =~ s/FETCH.*//r), 1 ] if chance(0.4);
	return [ 'union', $query, 0 ];
}

sub with_query
{
	my $hint = pick('', '', 'MATERIALIZED ', 'NOT MATERIALIZED ');
	@scope = ('a');
	my $inner = 'SELECT * FROM a' . where(0.8, 1);
	@scope = ('q');
	return pick(
		sub { return [ 'with', "WITH q AS $hint($inner) SELECT q.id, " . outputs(1) . ' FROM q WHERE ' . condition(1), 0 ] },
		sub { return [ 'with', "WITH q AS $hint($inner), r AS (SELECT k1, count(*) AS n FROM q GROUP BY k1) SELECT q.id, r.n FROM q JOIN r ON r.k1 = q.k1 WHERE " . condition(1), 0 ] },
		sub { return [ 'with', "WITH q AS (WITH p AS $hint($inner) SELECT p.*, b.id AS b_id FROM p LEFT JOIN b ON b.id = p.k1) SELECT q.id, q.b_id FROM q WHERE " . condition(1), 0 ] },
		sub { return [ 'with', "WITH q AS $hint($inner) SELECT x.id, (SELECT count(*) FROM q WHERE q.k1 = x.k1) FROM q x WHERE EXISTS (SELECT 1 FROM q y WHERE y.id > x.id)", 0 ] },
		sub { return [ 'with', 'WITH RECURSIVE t(id, k, n) AS (SELECT id, k1, 1 FROM a WHERE id ' . pick('= 7', '< 5', 'IN (3, 50)') . ' UNION ' . pick('', 'ALL ') . 'SELECT b.id, b.k1, t.n + 1 FROM t JOIN b ON b.id = t.k WHERE t.n < 4) ' . pick('SELECT * FROM t', 'SEARCH DEPTH FIRST BY id SET o SELECT id, k, n FROM t', 'CYCLE id SET c USING p SELECT id, k, n, c FROM t'), 0 ] },
		sub { return [ 'with', "WITH q AS $hint($inner) TABLE q", 0 ] })->();
}

# ---- all of them ----

my @makers = (
	(\&scan_query) x 6, (\&plain_scan_query) x 3, (\&bounds_query) x 3, (\&parameter_query) x 2, (\&order_query) x 3, (\&limit_query) x 3, (\&distinct_query) x 2, \&distinct_on_query, (\&set_query) x 2,
	(\&aggregate_query) x 4, (\&grouping_query) x 2, (\&window_query) x 2, (\&join_query) x 5, (\&mixed_query) x 4, (\&tree_query) x 3, (\&union_query) x 2, (\&with_query) x 2);

sub random_select { return pick(@makers)->() }

1;
