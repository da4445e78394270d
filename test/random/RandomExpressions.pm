# Random expressions over the tables of RandomRows: value() of a type and
# condition(), both of columns of the aliases in scope.
package RandomExpressions;
use strict;
use warnings;
use RandomRows;
use Exporter 'import';
our @EXPORT = qw(value column condition outputs field tame_column any_type within @scope @units @intervals);

our @scope;    # aliases of tables in scope

# Run what makes an expression with these aliases in scope, and no others.
sub within
{
	my ($aliases, $make) = @_;
	local @scope = @$aliases;
	return $make->();
}

my %column_of = (
	int8 => [ 'id', 'i4', 'k1', 's2' ],
	float8 => [ 'r8', 'r8', 'rn' ],
	float4 => ['r4'],
	text => [ 't1', 't2', 'v1', 'k2', 'vn', 'vs' ],
	varchar => ['vn'],
	bpchar => ['cn'],
	bytea => ['b1'],
	bool => ['f1'],
	date => [ 'd1', 'd2' ],
	timestamp => [ 'ts', 'ts0', 'um' ],
	timestamptz => [ 'tz', 'uc' ],
	time => ['tm'],
	uuid => ['u1'],
	numeric => [ 'n1', 'nt', 'nx', 'np' ],
);

our @units = ('year', 'month', 'day', 'hour', 'minute', 'week', 'quarter', 'decade', 'century', 'millennium', 'second', 'milliseconds', 'microseconds');
my @day_fields = ('year', 'month', 'day', 'week', 'quarter', 'decade', 'century', 'millennium', 'isoyear', 'dow', 'isodow', 'doy', 'epoch', 'julian');
my @clock_fields = ('hour', 'minute', 'second', 'milliseconds', 'microseconds', 'epoch');

our @intervals = map { "interval '$_'" } '1 day', '-1 day', '1 month', '-1 month', '1 year 1 month -1 day', '12:00', '-00:00:00.000001', '30 days 36:00', '-4800 years', '100 years', '0', '11 months 59 minutes', '290000 years', '5800000 years';

# A field and what it is of; the Julian day of a timestamp is one that PostgreSQL computes.
sub field
{
	my ($depth, @types) = @_;
	my $type = pick(@types ? @types : qw(date timestamp timestamptz time));
	my $field = pick($type eq 'date' ? @day_fields : $type eq 'time' ? @clock_fields : (@day_fields, @clock_fields));
	return ($field, value($type, $depth));
}

sub column
{
	my ($type) = @_;
	return literal($type) unless $column_of{$type};
	return pick(@scope) . '.' . pick(@{ $column_of{$type} });
}

sub value
{
	my ($type, $depth) = @_;
	return column($type) if chance(0.45);
	return literal($type) if $depth <= 0 || chance(0.3);
	my $d = $depth - 1;
	return rare_value($type, $d) if $type =~ /^(int8|text)$/ && chance(0.15);
	my %form = (
		int4 => sub { pick(sub { pick('length', 'octet_length') . '(' . value('text', $d) . ')' }, sub { 'strpos(' . value('text', $d) . ', ' . value('text', $d) . ')' }, sub { 'length(' . value('bpchar', $d) . ')' }, sub { '(' . value('bool', $d) . ')::int' }, sub { literal('int4') }, sub { 'octet_length(' . value('bytea', $d) . ')' },
			sub { sprintf('extract(%s FROM %s)::int', pick('month', 'day', 'dow', 'doy', 'week', 'year'), value(pick('date', 'timestamp', 'timestamptz'), $d)) })->() },
		int8 => sub {
			pick(
				sub { '(' . value('int8', $d) . pick(' + ', ' - ', ' * ', ' / ', ' % ') . value(pick('int8', 'int2', 'int4'), $d) . ')' },
				sub { 'abs(' . value('int8', $d) . ')' },
				sub { '(- ' . value('int8', $d) . ')' },
				sub { '(' . value('int8', $d) . pick(' & ', ' | ', ' # ') . value('int8', $d) . ')' },
				sub { 'coalesce(' . value('int8', $d) . ', ' . value('int8', $d) . ')' },
				sub { 'CASE WHEN ' . condition($d) . ' THEN ' . value('int8', $d) . ' ELSE ' . value('int8', $d) . ' END' },
				sub { 'nullif(' . value('int8', $d) . ', ' . value('int8', $d) . ')' },
				sub { pick('greatest', 'least') . '(' . value('int8', $d) . ', ' . value('int8', $d) . ')' },
				sub { 'CASE ' . column('int8') . ' WHEN ' . literal('int8') . ' THEN ' . value('int8', $d) . ' WHEN ' . column('int8') . ' THEN 5 ELSE ' . value('int8', $d) . ' END' })->();
		},
		int2 => sub { literal('int2') },
		float8 => sub {
			pick(
				sub { '(' . value('float8', $d) . pick(' + ', ' - ', ' * ', ' / ') . value('float8', $d) . ')' },
				sub { pick('abs', 'round', 'floor', 'ceil', 'trunc', 'sign') . '(' . value('float8', $d) . ')' },
				sub { '(' . value('int8', $d) . ')::float8' }, sub { '(- ' . value('float8', $d) . ')' }, sub { '(' . value('float4', $d) . ')::float8' },
				sub { pick('greatest', 'least') . '(' . value('float8', $d) . ', ' . value('float8', $d) . ')' },
				sub { sprintf("date_part('%s', %s)", field($d)) },
				sub { 'coalesce(' . value('float8', $d) . ', ' . value('float8', $d) . ')' })->();
		},
		text => sub {
			pick(
				sub { '(' . value('text', $d) . ' || ' . value('text', $d) . ')' },
				sub { pick('lower', 'upper', 'trim', 'ltrim', 'rtrim', 'reverse') . '(' . value('text', $d) . ')' },
				sub { 'substr(' . value('text', $d) . ', ' . pick(-2 .. 4) . ', ' . pick(0 .. 4) . ')' },
				sub { 'replace(' . value('text', $d) . ', ' . value('text', $d) . ', ' . literal('text') . ')' },
				sub { 'coalesce(' . value('text', $d) . ', ' . value('text', $d) . ')' },
				sub { pick('left', 'right') . '(' . value('text', $d) . ', ' . pick(-2 .. 3, '(-2147483648)', 2147483647) . ')' },
				sub { pick('trim', 'ltrim', 'rtrim') . '(' . value('text', $d) . ', ' . literal('text') . ')' },
				sub { pick('greatest', 'least') . '(' . value('text', $d) . ' COLLATE "C", ' . value('text', $d) . ', ' . literal('text') . ')' },
				sub { 'CASE ' . value('text', $d) . ' WHEN ' . literal('text') . ' THEN ' . value('text', $d) . ' WHEN ' . value('text', $d) . " THEN 'x' ELSE " . column('text') . ' END' },
				sub { '(' . value('bpchar', $d) . ')::text' },
				sub { '(' . value('int8', $d) . ')::text' })->();
		},
		bytea => sub { column('bytea') },
		bool => sub { '(' . condition($d) . ')' },
		date => sub { pick(sub { column('date') }, sub { '(' . value('timestamptz', $d) . ')::date' }, sub { '(' . value('date', $d) . pick(' + ', ' - ') . pick(0, 1, 30, 365, 100000, 2000000000, 'NULL::int') . ')' }, sub { '(' . column('date') . ' + ' . column('int4') . '::int)' }, sub { sprintf("date_trunc('%s', %s)::date", pick(@units), column('date')) }, sub { '(' . value('timestamp', $d) . ')::date' }, sub { pick('greatest', 'least') . '(' . value('date', $d) . ', ' . value('date', $d) . ')' })->() },
		timestamp => sub {
			pick(
				sub { column('timestamp') },
				sub { 'coalesce(' . value('timestamp', $d) . ', ' . value('timestamp', $d) . ')' },
				sub { '(' . value(pick('date', 'timestamptz'), $d) . ')::timestamp' },
				sub { '(' . value(pick('date', 'timestamp'), $d) . pick(' + ', ' - ') . pick(@intervals) . ')' },
				sub { "date_trunc('" . pick(@units) . "', " . value('timestamp', $d) . ')' })->();
		},
		timestamptz => sub { pick(sub { column('timestamptz') }, sub { '(' . value('timestamptz', $d) . pick(' + ', ' - ') . pick(@intervals) . ')' }, sub { "date_trunc('" . pick(@units) . "', " . value(pick('timestamptz', 'date'), $d) . ')' }, sub { '(' . value('timestamp', $d) . ')::timestamptz' })->() },
		time => sub { pick(sub { column('time') }, sub { '(' . value(pick('timestamp', 'timestamptz'), $d) . ')::time' }, sub { 'nullif(' . value('time', $d) . ', ' . value('time', $d) . ')' })->() },
		uuid => sub { column('uuid') },
		varchar => sub { column('varchar') },
		bpchar => sub { pick(sub { column('bpchar') }, sub { 'coalesce(' . value('bpchar', $d) . ', ' . value('bpchar', $d) . ')' })->() },
		float4 => sub { column('float4') },
		numeric => sub {
			pick(sub { pick('greatest', 'least') . '(' . value('numeric', $d) . ', ' . value('numeric', $d) . ')' },
				sub { sprintf('extract(%s FROM %s)', field($d)) }, sub { sprintf('extract(%s FROM %s)', field($d)) },
				sub { '(' . value('numeric', $d) . pick(' + ', ' - ', ' * ') . value('numeric', $d) . ')' }, sub { 'round(' . value('numeric', $d) . ', 1)' },
				sub { '(' . value('int8', $d) . ')::numeric' }, sub { 'coalesce(' . value('numeric', $d) . ', ' . value('numeric', $d) . ')' })->();
		},
	);
	return $form{$type}->();
}

# Likewise of values.
sub rare_value
{
	my ($type, $d) = @_;
	my %form = (
		int8 => [
			sub { 'mod(' . value('int8', $d) . ', ' . pick(3, 7, -2) . ')' },
			sub { '(~ ' . value('int8', $d) . ')' },
			sub { '(ARRAY[' . value('int8', $d) . ', ' . literal('int8') . ', 7])[' . pick(0, 1, 2, column('int8') . '::numeric::int') . ']' },
			sub { 'num_nulls(' . column('int8') . ', ' . column('text') . ', ' . column('date') . ')::int8' },
			sub { 'cardinality(ARRAY[' . column('text') . ', ' . column('text') . '])::int8' },
			sub { "(jsonb_build_object('k', " . column('int8') . ")->>'k')::int8" },
			sub { scalar_subquery('int8') },
		],
		text => [
			sub { 'concat(' . value('text', $d) . ', ' . value('int8', $d) . ')' },
			sub { "concat_ws('-', " . value('text', $d) . ', ' . value('text', $d) . ')' },
			sub { 'lpad(' . value('text', $d) . ', ' . pick(0, 3, 6) . ", '*')" },
			sub { pick('initcap', 'md5', 'quote_literal') . '(' . value('text', $d) . ')' },
			sub { 'split_part(' . value('text', $d) . ", '" . pick('a', 'b', '-') . "', " . pick(1, 2, -1) . ')' },
			sub { 'translate(' . value('text', $d) . ", 'ab', 'B')" },
			sub { 'overlay(' . value('text', $d) . " PLACING 'xy' FROM " . pick(1, 2) . ')' },
			sub { 'regexp_replace(' . value('text', $d) . ", '[a-c]+', '<\\&>')" },
			sub { "jsonb_build_array(" . value('text', $d) . ', ' . column('int8') . ')' . pick('->>0', '->>1', '::text') },
			sub { "(to_json(" . value('text', $d) . ") #>> '{}')" },
			sub { "to_char(" . column(pick('date', 'timestamp', 'int8')) . ", 'YYYY-MM-DD')" },
			sub { scalar_subquery('text') },
		]);
	return pick($form{$type}->@*)->();
}

my @types = qw(int8 int8 int8 int8 int2 float8 float8 float4 text text text text varchar bpchar bytea bool date date timestamp timestamp timestamptz time uuid numeric numeric numeric);

sub condition
{
	my ($depth) = @_;
	my $d = $depth - 1;
	my $type = pick(@types);

	if ($depth > 0 && chance(0.35))
	{
		my $op = pick(' AND ', ' OR ');
		my $c = '(' . condition($d) . $op . condition($d) . ')';
		return chance(0.2) ? "NOT $c" : $c;
	}
	return rare_condition($d) if chance(0.15);
	return pick(
		sub { value($type, $d) . pick(' = ', ' <> ', ' < ', ' <= ', ' > ', ' >= ') . value($type, $d) },
		sub { column($type) . pick(' = ', ' < ', ' >= ') . literal($type) },
		sub { column($type) . pick(' = ', ' <> ', ' < ', ' <= ', ' > ', ' >= ') . literal($type) },
		sub { value($type, $d) . pick(' IS NULL', ' IS NOT NULL') },
		sub { column($type) . pick(' IN (', ' NOT IN (') . join(', ', map { literal($type) } 1 .. pick(1 .. 4)) . ')' },
		sub { column('int8') . ' = ANY(ARRAY[' . join(', ', map { literal('int8') } 1 .. 3) . '])' },
		sub { column($type) . ' BETWEEN ' . literal($type) . ' AND ' . literal($type) },
		sub { value($type, $d) . pick(' IS DISTINCT FROM ', ' IS NOT DISTINCT FROM ') . value($type, $d) },
		sub { column('text') . pick(' LIKE ', ' NOT LIKE ', ' ILIKE ') . pick("'%a%b%'", "'_a%'", "'%\\_c'", "'\\\\'", "'%\\'", "'a\x{304}%'", "'_\x{301}'", "'a%'", "'%b'", "'_'", "'%'", "'A\\%c'", "'%\x{e4}%'", "''") },
		sub { 'starts_with(' . value('text', $d) . ', ' . value('text', $d) . ')' },
		sub { 'CASE ' . column('date') . ' WHEN ' . literal('date') . ' THEN ' . column('bool') . ' WHEN ' . column('date') . ' THEN ' . condition($d) . ' END' },
		sub { '(' . column('text') . ' COLLATE "C")' . pick(' LIKE ', ' ILIKE ', ' NOT ILIKE ') . pick("'A%'", "'%B_'", "'%\x{c4}%'", "'_'", "'%a%'") },
		sub { pick('lower', 'upper') . '(' . value('text', $d) . ' COLLATE "C")' . pick(' = ', ' <> ', ' < ') . literal('text') },
		sub { 'length(' . value('text', $d) . ')' . pick(' = ', ' > ') . pick(0 .. 3) },
		sub { column('int8') . pick(' / ', ' % ') . pick(2, -2, 3, 7, 10, '(-3)') . pick(' = ', ' < ') . literal('int4') },
		sub { 'CASE WHEN ' . condition($d) . ' THEN ' . column('bool') . (chance(0.7) ? ' ELSE ' . condition($d) : '') . ' END' },
		sub { column('bool') . pick('', ' IS TRUE', ' IS NOT TRUE', ' IS UNKNOWN', ' = true') },
		sub { column('text') . pick(' = ', ' < ', ' >= ') . literal('text') . pick('', ' COLLATE "C"') },
		sub { column('int8') . pick(' = ', ' < ') . column('int8') },
		sub { column('float8') . pick(' = ', ' < ', ' > ') . column('int8') },
		sub { column('timestamp') . pick(' = ', ' <> ', ' < ', ' <= ', ' > ', ' >= ') . pick(sub { column('date') }, sub { literal('date') })->() },
		sub { column('date') . pick(' = ', ' <> ', ' < ', ' >= ') . pick(sub { column('timestamp') }, sub { literal('timestamp') })->() },
		sub { pick(sub { column('timestamptz') }, sub { literal('timestamptz') })->() . pick(' = ', ' < ', ' >= ') . pick(sub { column('timestamp') }, sub { column('date') }, sub { literal('date') }, sub { literal('timestamp') })->() },
		sub { column('float4') . pick(' = ', ' < ', ' >= ') . pick(sub { column('float8') }, sub { literal('float8') })->() },
		sub { column('bpchar') . pick(' = ', ' <> ', ' < ', ' > ') . pick(sub { column('varchar') }, sub { column('text') }, sub { literal('bpchar') . ' COLLATE "C"' })->() },
		sub { sprintf('extract(%s FROM %s)', field(0)) . pick(' = ', ' <> ', ' < ', ' >= ') . pick(0, 1, 2, 3, 12, 29, 2024, 1999, '56.5', -44, '1709164800') },
		sub { sprintf("date_part('%s', %s)", field(0)) . pick(' = ', ' < ', ' >= ') . pick(0, 1, 2, 3, 12, 2024, 1999, '59.5') },
		sub { my $t = pick('date', 'timestamp', 'timestamptz'); column($t) . pick(' + ', ' - ') . pick(@intervals) . pick(' < ', ' >= ', ' = ') . literal(pick('date', 'timestamp', 'timestamptz')) },
		sub { sprintf("date_trunc('%s', %s)", pick(@units), column(pick('date', 'timestamp', 'timestamptz'))) . pick(' = ', ' < ', ' >= ') . literal(pick('date', 'timestamp', 'timestamptz')) },
		sub { column('numeric') . pick(' = ', ' <> ', ' < ', ' >= ') . pick(sub { column('int8') }, sub { literal('int8') }, sub { literal('int4') })->() },
		sub { pick('', 'NOT ') . 'EXISTS (SELECT 1 FROM b e WHERE e.k1 = ' . column('int8') . pick('', ' AND ' . within([ @scope, 'e' ], sub { condition($d) })) . ')' },
		sub { column('int8') . pick(' IN ', ' NOT IN ') . "(SELECT k1 FROM b WHERE k2 = 'x' AND k1 IS NOT NULL)" },
	)->();
}

# Forms of which most stay in PostgreSQL: rows, arrays, subqueries, JSON, patterns.
sub rare_condition
{
	my ($d) = @_;
	return pick(
		sub { '(' . join(', ', column('int8'), column('int8')) . ')' . pick(' = ', ' <> ', ' < ', ' <= ', ' >= ') . '(' . join(', ', pick(literal('int8'), column('int8')), literal('int8')) . ')' },
		sub { '(' . column('text') . ' COLLATE "C", ' . column('int8') . ')' . pick(' < ', ' >= ') . '(' . literal('text') . ', ' . literal('int8') . ')' },
		sub { '(' . column('int8') . ', ' . column('text') . ')' . pick(' IN ', ' NOT IN ') . '((' . literal('int8') . ', ' . literal('text') . '), (3, ' . literal('text') . '))' },
		sub { '(' . column('int8') . ', ' . column('int8') . ')' . pick(' IN ', ' NOT IN ') . '(SELECT e.k1, e.' . pick('s2', 'id', 'i4') . ' FROM b e WHERE ' . within(['e'], sub { condition($d) }) . ')' },
		sub { 'ROW(' . column('int8') . ', ' . column('text') . ')' . pick(' IS NULL', ' IS NOT NULL', ' IS NOT DISTINCT FROM ROW(3::int8, ' . literal('text') . ')') },
		sub { my $t = pick('int8', 'text', 'date', 'uuid', 'numeric', 'float8'); column($t) . pick(' = ANY ', ' <> ALL ') . '(ARRAY[' . join(', ', map { literal($t) } 1 .. pick(1 .. 3)) . pick('', ', ' . column($t)) . '])' },
		sub { my $t = pick('int8', 'date', 'float8'); column($t) . pick(' < ', ' >= ', ' <> ') . pick('ANY', 'ALL', 'SOME') . ' (ARRAY[' . join(', ', map { literal($t) } 1 .. pick(1 .. 3)) . '])' },
		sub { column('int8') . pick(" = ANY ('{1,3,NULL}')", " <> ALL ('{1,3,NULL}')", " = ANY ('{}')", " <> ALL ('{}')", ' = ANY (NULL::int8[])') },
		sub { column('int8') . pick(' = ', ' <> ', ' < ') . pick('ANY', 'ALL') . ' (SELECT e.' . pick('k1', 's2') . ' FROM b e WHERE ' . within([ @scope, 'e' ], sub { condition($d) }) . ')' },
		sub { 'ARRAY[' . column('int8') . ', ' . column('int8') . ']' . pick(' && ', ' @> ', ' <@ ', ' = ', ' < ') . 'ARRAY[' . literal('int8') . ', 3::int8]' },
		sub { column('int8') . pick(' = ', ' < ', ' <> ') . scalar_subquery('int8') },
		sub { my $t = pick('int8', 'date', 'numeric', 'text'); column($t) . ' BETWEEN SYMMETRIC ' . literal($t) . ' AND ' . literal($t) },
		sub { column('text') . pick(' ~ ', ' !~ ', ' ~* ') . pick("'^a'", "'b\$'", "'[ab]+'", "'.'", "'^\$'") },
		sub { column('text') . pick(' SIMILAR TO ', ' NOT SIMILAR TO ') . pick("'(a|b)%'", "'_'", "'%c'") },
		sub { column('text') . pick(' LIKE ', ' NOT LIKE ') . pick("'!%%' ESCAPE '!'", "'a_%' ESCAPE ''", "'%!_c' ESCAPE '!'") },
		sub { '(' . column('timestamp') . ', ' . column('timestamp') . ') OVERLAPS (' . literal('timestamp') . ', ' . literal('timestamp') . ')' },
		sub { '(' . column('timestamp') . " AT TIME ZONE 'Europe/Berlin')" . pick(' < ', ' = ') . literal('timestamptz') },
		sub { '(' . column('timestamptz') . " AT TIME ZONE 'UTC')::date" . pick(' = ', ' < ') . literal('date') },
		sub { "jsonb_build_object('k', " . column('int8') . ', \'t\', ' . column('text') . ')' . pick(' @> \'{"k": 3}\'', ' ? \'k\'', '->\'k\' = \'3\'', '->>\'t\' = \'a\'', ' @? \'$.k ? (@ > 2)\'') },
		sub { 'num_nonnulls(' . column('int8') . ', ' . column('text') . ', ' . column('date') . ')' . pick(' = ', ' > ') . pick(0 .. 3) },
		sub { column('text') . pick(' IS NFC NORMALIZED', ' IS NOT NORMALIZED') },
	)->();
}

# One value of a subquery, correlated or not.
sub scalar_subquery
{
	my ($type) = @_;
	my $out = $type eq 'int8' ? pick('max(e.i4)', 'min(e.k1)', 'count(*)', 'sum(e.k1)::int8', 'count(DISTINCT e.k2)') : 'min(e.' . pick('k2', 't1') . ' COLLATE "C")';
	my $on = pick('e.k1 = ' . column('int8'), 'e.id = ' . column('int8'), 'e.k2 = ' . column('text'), 'e.k1 < 4');
	return "(SELECT $out FROM b e WHERE $on" . (chance(0.3) ? ' AND ' . within([ @scope, 'e' ], sub { condition(0) }) : '') . ')';
}

# A column whose equal values are also written alike: what DISTINCT, set operations and groups may show.
sub tame_column { return pick(qw(k1 k2 f1 s2 t1 i4 d1 ts u1 cn np b1 tm)) }

sub any_type { return pick(@types) }

sub outputs
{
	my ($n) = @_;
	return join(', ', map { value(pick(@types), 1) } 1 .. $n);
}

1;
