# Runs random queries in a server over foreign tables (schema f) and over local
# copies of their rows (schema l), and notes whether the answers agree to the
# last bit.  Queries go there by the thousand; each runs in a subtransaction.
#
# By its number a query runs as a whole or as a subquery (whose plan is another
# one), and with the planner's own choice or with all that PostgreSQL could do
# itself made dear.
#
# A condition that fails for some row is an error only in plans that test it on
# that row: a merge join that has seen its last key reads no further, a hash join
# has read all.  So an error over the foreign tables alone is looked for in other
# plans over the local ones.  The same error there is PostgreSQL's own.
package RandomCompare;
use strict;
use warnings;
use RandomRows;
use RandomSelects;
use RandomChanges;
use Exporter 'import';
our @EXPORT = qw(setup_sql batch_sql);

my $harness = <<'SQL';
CREATE TABLE outcome(n int, kind text, query text, same bool, pushed bool, errors bool, refused bool, detail text);
-- values for the parameters of queries that have them
CREATE FUNCTION arguments(n int) RETURNS text LANGUAGE sql AS $$
	SELECT CASE n % 3 WHEN 0 THEN '3, ''a'', 1.5, ''2000-01-01'', ''1999-12-31 23:59:59.5'', 1.5, 2147483648, ''{1,3,NULL}'''
		WHEN 1 THEN '0, ''ab'', ''-Infinity'', ''-infinity'', ''2024-02-29'', ''NaN'', -1, ''{7}''' ELSE '7, NULL, NULL, NULL, NULL, NULL, NULL, NULL' END $$;
-- the rows as text, sorted unless their order is certain; or the error
CREATE FUNCTION answer(schema text, query text, ordered bool, n int, without text[], OUT result text, OUT failed bool) LANGUAGE plpgsql AS $$
DECLARE
	r record;
	rows text[] := '{}';
	settings text[] := '{hashagg,sort,hashjoin,mergejoin,nestloop,indexscan,indexonlyscan,bitmapscan}';
BEGIN
	PERFORM set_config('search_path', schema || ', public', true);
	PERFORM set_config('enable_' || e, (e <> ALL (without))::text, true) FROM unnest(settings) AS e;
	IF query ~ '\$\d' THEN
		EXECUTE 'PREPARE random_query(bigint, text, float8, date, timestamp, numeric, bigint, bigint[]) AS ' || query;
		query := format('EXECUTE random_query(%s)', arguments(n));
	ELSIF n % 4 > 1 AND query !~ ' FOR (UPDATE|NO KEY UPDATE|SHARE|KEY SHARE)' THEN
		query := format('SELECT x::text FROM (%s) x', query);
	END IF;
	FOR r IN EXECUTE query LOOP
		rows := rows || r::text;
	END LOOP;
	IF ordered THEN
		result := array_to_string(rows, E'\n');
	ELSE
		SELECT string_agg(e, E'\n' ORDER BY e COLLATE "C") INTO result FROM unnest(rows) e;
	END IF;
	result := coalesce(result, '');
	failed := false;
EXCEPTION WHEN OTHERS THEN
	result := SQLSTATE || ' ' || SQLERRM;
	failed := true;
END $$;
-- whether some plan over the local tables ends in this error
CREATE FUNCTION is_local_error(error text, query text, ordered bool, n int) RETURNS bool LANGUAGE plpgsql AS $$
DECLARE
	without text;
	l record;
BEGIN
	FOREACH without IN ARRAY ARRAY['mergejoin,nestloop,indexscan,indexonlyscan,bitmapscan', 'hashjoin,mergejoin,indexscan,indexonlyscan,bitmapscan', 'hashjoin,nestloop'] LOOP
		SELECT * INTO l FROM answer('l', query, ordered, n, string_to_array(without, ','));
		IF query ~ '\$\d' THEN DEALLOCATE ALL; END IF;
		IF l.failed AND l.result = error THEN RETURN true; END IF;
	END LOOP;
	RETURN false;
END $$;
-- whether PostgreSQL itself filters, joins or aggregates
CREATE FUNCTION is_pushed(query text, kind text) RETURNS bool LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
	PERFORM set_config('search_path', 'f, public', true);
	-- joins of few rows are not worth asking SQLite
	IF kind IN ('tree', 'change') THEN
		PERFORM set_config(e, 'off', true) FROM unnest(ARRAY['enable_hashjoin', 'enable_mergejoin', 'enable_nestloop']) AS e;
	END IF;
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		IF line ~ 'Filter:|SubPlan' THEN RETURN false; END IF;
		IF kind IN ('join', 'full', 'tree') AND line ~ '^\s*(->\s+)?(Nested Loop|Merge|Hash) ?' THEN RETURN false; END IF;
		IF kind IN ('aggregate', 'group') AND line ~ '^\s*(->\s+)?((Hash|Group|Mixed)?Aggregate|Group$)' THEN RETURN false; END IF;
		IF kind = 'order' AND line ~ '^\s*(->\s+)?(Incremental )?Sort$' THEN RETURN false; END IF;
		IF kind = 'limit' AND line ~ '^\s*(->\s+)?(Limit|(Incremental )?Sort)$' THEN RETURN false; END IF;
		IF kind = 'distinct' AND line ~ '^\s*(->\s+)?(Unique|(Hash|Group|Mixed)?Aggregate)' THEN RETURN false; END IF;
		IF kind = 'change' AND line ~ 'Foreign (Update|Delete) on' THEN RETURN true; END IF;
	END LOOP;
	RETURN kind <> 'change';
EXCEPTION WHEN OTHERS THEN RETURN NULL;
END $$;
CREATE PROCEDURE compare(n int, kind text, query text, ordered bool, explained bool) LANGUAGE plpgsql AS $$
DECLARE l record; f record; agree bool;
BEGIN
	SELECT * INTO l FROM answer('l', query, ordered, n, '{}');
	IF query ~ '\$\d' THEN DEALLOCATE ALL; END IF;
	SELECT * INTO f FROM answer('f', query, ordered, n, CASE WHEN n % 2 = 0 THEN '{hashagg,sort,hashjoin,mergejoin,nestloop}' ELSE '{}' END::text[]);
	IF query ~ '\$\d' THEN DEALLOCATE ALL; END IF;
	-- Which of several conditions is evaluated first is nobody's promise, so a
	-- row that makes one of them fail may be gone before it is.
	agree := l.failed OR (NOT f.failed AND l.result = f.result) OR (f.failed AND is_local_error(f.result, query, ordered, n));
	INSERT INTO outcome VALUES (n, kind, query, agree, CASE WHEN explained AND query !~ '\$\d' THEN is_pushed(query, kind) END, l.failed, false,
		CASE WHEN NOT agree THEN format(E'local: %s\nforeign: %s', left(l.result, 1500), left(f.result, 1500)) END);
END $$;
-- what a command leaves in the tables and returns, or that it failed; nothing of it stays
CREATE FUNCTION change(command text, OUT failed bool, OUT refused bool, OUT result text) LANGUAGE plpgsql AS $$
DECLARE
	r record;
	returned text[] := '{}';
	held text;
BEGIN
	IF command ~ 'RETURNING' THEN
		FOR r IN EXECUTE command LOOP
			returned := returned || r::text;
		END LOOP;
	ELSE
		EXECUTE command;
	END IF;
	SELECT string_agg(h::text, E'\n' ORDER BY h::text COLLATE "C") INTO held FROM (TABLE a UNION ALL TABLE w) AS h;
	SELECT format(E'returned: %s\nheld: %s', string_agg(e, E'\n' ORDER BY e COLLATE "C"), held) INTO result FROM unnest(returned) e;
	-- SQLite stores minus zero as zero
	result := regexp_replace(result, '(?<=[,(])-0(?=[,)])', '0', 'g');
	RAISE EXCEPTION SQLSTATE 'UNDO1';
EXCEPTION
	WHEN SQLSTATE 'UNDO1' THEN failed := false; refused := false;
	WHEN OTHERS THEN failed := true; refused := SQLSTATE = 'HV004'; result := SQLSTATE || ' ' || SQLERRM;
END $$;
-- the lines of two answers that are not in both
CREATE FUNCTION unlike(one text, other text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(x, E'\n') FROM (SELECT unnest(string_to_array(one, E'\n')) EXCEPT ALL SELECT unnest(string_to_array(other, E'\n'))) u(x) $$;
CREATE PROCEDURE compare_change(n int, command text, explained bool) LANGUAGE plpgsql AS $$
DECLARE l record; f record; agree bool;
BEGIN
	PERFORM set_config('search_path', 'l, public', true);
	SELECT * INTO l FROM change(command);
	PERFORM set_config('search_path', 'f, public', true);
	SELECT * INTO f FROM change(command);
	-- likewise; and a value that SQLite's column would not give back is refused
	agree := l.failed OR f.refused OR (NOT f.failed AND l.result = f.result);
	INSERT INTO outcome VALUES (n, 'change', command, agree, CASE WHEN explained THEN is_pushed(command, 'change') END, l.failed, f.refused AND NOT l.failed,
		CASE WHEN NOT agree THEN format(E'local: %s\nforeign: %s', left(unlike(l.result, f.result), 1500), left(unlike(f.result, l.result), 1500)) END);
END $$;
SQL

# The schemas f and l in a fresh database, over the SQLite file.
sub setup_sql
{
	my ($file) = @_;
	my $sql = "CREATE EXTENSION vss_fdw;
		CREATE SERVER equal FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '$file');
		CREATE SCHEMA f; CREATE SCHEMA l;
		DO \$\$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone = %L', current_database(), 'America/New_York'); END \$\$;
		SET timezone = 'America/New_York';
		IMPORT FOREIGN SCHEMA main FROM SERVER equal INTO f;\n" . retyped_sql('f');
	$sql .= "CREATE TABLE l.$_ AS SELECT * FROM f.$_; ANALYZE l.$_; ANALYZE f.$_;\n" for qw(a b c w);
	$sql .= 'ALTER TABLE l.a ADD PRIMARY KEY (id); ALTER TABLE l.b ADD PRIMARY KEY (id); ALTER TABLE l.w ADD PRIMARY KEY (id, k2);';
	return "$sql\n$harness";
}

# Commands that compare queries number first .. last; changes: the share that are changes, explained: of whose plan is looked at.
sub batch_sql
{
	my ($first, $last, $changes, $explained) = @_;
	my $sql = "SET client_min_messages = error; SET plan_cache_mode = force_generic_plan;\n";
	for my $n ($first .. $last)
	{
		my $look = chance($explained) ? 'true' : 'false';
		if (chance($changes))
		{
			$sql .= "CALL compare_change($n, \$q\$" . random_change() . "\$q\$, $look);\n";
			next;
		}
		my ($kind, $query, $ordered) = @{ random_select() };
		$sql .= "CALL compare($n, '$kind', \$q\$$query\$q\$, " . ($ordered ? 'true' : 'false') . ", $look);\n";
	}
	utf8::encode($sql);
	return $sql;
}

1;
