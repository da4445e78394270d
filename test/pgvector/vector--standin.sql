-- A stand-in for the extension pgvector: its type `vector`, of its layout, and
-- those of its operators, casts and aggregates that vss_fdw has to do with, under
-- their names.  Made of vss_fdw's own C functions, except that distances are
-- rounded to real: pgvector's are not ours to the last digit either, and a test
-- must see whose a number is.  (In a language that the planner does not inline.)
-- For test/tap/pgvector.pl, where the server has no pgvector.

CREATE TYPE vector;

CREATE FUNCTION vector_in(cstring, oid, integer) RETURNS vector
	AS '$libdir/vss_fdw', 'vss_vector_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vector_out(vector) RETURNS cstring
	AS '$libdir/vss_fdw', 'vss_vector_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vector_recv(internal, oid, integer) RETURNS vector
	AS '$libdir/vss_fdw', 'vss_vector_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vector_send(vector) RETURNS bytea
	AS '$libdir/vss_fdw', 'vss_vector_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vector_typmod_in(cstring[]) RETURNS integer
	AS '$libdir/vss_fdw', 'vss_vector_typmod_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE TYPE vector (
	INPUT = vector_in, OUTPUT = vector_out, RECEIVE = vector_recv, SEND = vector_send,
	TYPMOD_IN = vector_typmod_in, STORAGE = external
);

CREATE FUNCTION vector(vector, integer, boolean) RETURNS vector
	AS '$libdir/vss_fdw', 'vss_vector_coerce' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION array_to_vector(integer[], integer, boolean) RETURNS vector
	AS '$libdir/vss_fdw', 'vss_vector_from_array' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION array_to_vector(real[], integer, boolean) RETURNS vector
	AS '$libdir/vss_fdw', 'vss_vector_from_array' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vector_to_float4(vector, integer, boolean) RETURNS real[]
	AS '$libdir/vss_fdw', 'vss_vector_to_array' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE CAST (vector AS vector) WITH FUNCTION vector(vector, integer, boolean) AS IMPLICIT;
CREATE CAST (vector AS real[]) WITH FUNCTION vector_to_float4(vector, integer, boolean) AS IMPLICIT;
CREATE CAST (integer[] AS vector) WITH FUNCTION array_to_vector(integer[], integer, boolean) AS ASSIGNMENT;
CREATE CAST (real[] AS vector) WITH FUNCTION array_to_vector(real[], integer, boolean) AS ASSIGNMENT;

CREATE FUNCTION unrounded_cosine(vector, vector) RETURNS double precision
	AS '$libdir/vss_fdw', 'vss_cosine_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION unrounded_l2(vector, vector) RETURNS double precision
	AS '$libdir/vss_fdw', 'vss_l2_distance' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION unrounded_ip(vector, vector) RETURNS double precision
	AS '$libdir/vss_fdw', 'vss_negative_inner_product' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION cosine_distance(vector, vector) RETURNS double precision
	AS 'BEGIN RETURN @extschema@.unrounded_cosine($1, $2)::real::double precision; END'
	LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION l2_distance(vector, vector) RETURNS double precision
	AS 'BEGIN RETURN @extschema@.unrounded_l2($1, $2)::real::double precision; END'
	LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vector_negative_inner_product(vector, vector) RETURNS double precision
	AS 'BEGIN RETURN @extschema@.unrounded_ip($1, $2)::real::double precision; END'
	LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE;
CREATE OPERATOR <-> (LEFTARG = vector, RIGHTARG = vector, FUNCTION = l2_distance, COMMUTATOR = <->);
CREATE OPERATOR <=> (LEFTARG = vector, RIGHTARG = vector, FUNCTION = cosine_distance, COMMUTATOR = <=>);
CREATE OPERATOR <#> (LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_negative_inner_product, COMMUTATOR = <#>);

CREATE FUNCTION vector_dims(vector) RETURNS integer
	AS '$libdir/vss_fdw', 'vss_dims' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vector_add(vector, vector) RETURNS vector
	AS '$libdir/vss_fdw', 'vss_vector_add' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE OPERATOR + (LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_add, COMMUTATOR = +);

CREATE FUNCTION vector_lt(vector, vector) RETURNS boolean
	AS '$libdir/vss_fdw', 'vss_vector_lt' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vector_le(vector, vector) RETURNS boolean
	AS '$libdir/vss_fdw', 'vss_vector_le' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vector_eq(vector, vector) RETURNS boolean
	AS '$libdir/vss_fdw', 'vss_vector_eq' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vector_ge(vector, vector) RETURNS boolean
	AS '$libdir/vss_fdw', 'vss_vector_ge' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vector_gt(vector, vector) RETURNS boolean
	AS '$libdir/vss_fdw', 'vss_vector_gt' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vector_cmp(vector, vector) RETURNS integer
	AS '$libdir/vss_fdw', 'vss_vector_cmp' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE OPERATOR < (LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_lt, COMMUTATOR = >, NEGATOR = >=);
CREATE OPERATOR <= (LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_le, COMMUTATOR = >=, NEGATOR = >);
CREATE OPERATOR = (LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_eq, COMMUTATOR = =,
	RESTRICT = eqsel, JOIN = eqjoinsel);
CREATE OPERATOR >= (LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_ge, COMMUTATOR = <=, NEGATOR = <);
CREATE OPERATOR > (LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_gt, COMMUTATOR = <, NEGATOR = <=);
CREATE OPERATOR CLASS vector_ops DEFAULT FOR TYPE vector USING btree AS
	OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
	FUNCTION 1 vector_cmp(vector, vector);

CREATE FUNCTION vector_accum(internal, vector) RETURNS internal
	AS '$libdir/vss_fdw', 'vss_vector_accumulate' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION vector_sum(internal) RETURNS vector
	AS '$libdir/vss_fdw', 'vss_vector_sum' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION vector_avg(internal) RETURNS vector
	AS '$libdir/vss_fdw', 'vss_vector_avg' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE AGGREGATE sum(vector) (SFUNC = vector_accum, STYPE = internal, FINALFUNC = vector_sum);
CREATE AGGREGATE avg(vector) (SFUNC = vector_accum, STYPE = internal, FINALFUNC = vector_avg);
