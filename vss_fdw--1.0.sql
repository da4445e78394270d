/* vss_fdw--1.0.sql */

-- complain if the script is sourced in psql rather than by CREATE EXTENSION
\echo Use "CREATE EXTENSION vss_fdw" to load this file. \quit

-- ---------- the type vss_vector ----------

CREATE TYPE vss_vector;

CREATE FUNCTION vss_vector_in(cstring, oid, integer) RETURNS vss_vector
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vss_vector_out(vss_vector) RETURNS cstring
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vss_vector_recv(internal, oid, integer) RETURNS vss_vector
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vss_vector_send(vss_vector) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vss_vector_typmod_in(cstring[]) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

-- external: floats do not compress, and out of line they stay addressable
CREATE TYPE vss_vector (
	INPUT = vss_vector_in,
	OUTPUT = vss_vector_out,
	RECEIVE = vss_vector_recv,
	SEND = vss_vector_send,
	TYPMOD_IN = vss_vector_typmod_in,
	STORAGE = external,
	CATEGORY = 'V'
);
COMMENT ON TYPE vss_vector IS 'vector of real numbers, written [1,2,3]';

CREATE FUNCTION vss_vector(vss_vector, integer, boolean) RETURNS vss_vector
	AS 'MODULE_PATHNAME', 'vss_vector_coerce' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vss_vector(real[], integer, boolean) RETURNS vss_vector
	AS 'MODULE_PATHNAME', 'vss_vector_from_array' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vss_vector(double precision[], integer, boolean) RETURNS vss_vector
	AS 'MODULE_PATHNAME', 'vss_vector_from_array' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vss_vector(numeric[], integer, boolean) RETURNS vss_vector
	AS 'MODULE_PATHNAME', 'vss_vector_from_array' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vss_vector(integer[], integer, boolean) RETURNS vss_vector
	AS 'MODULE_PATHNAME', 'vss_vector_from_array' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vss_vector_to_array(vss_vector) RETURNS real[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vss_vector_to_json(vss_vector) RETURNS json
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE CAST (vss_vector AS vss_vector)
	WITH FUNCTION vss_vector(vss_vector, integer, boolean) AS IMPLICIT;
CREATE CAST (real[] AS vss_vector)
	WITH FUNCTION vss_vector(real[], integer, boolean) AS IMPLICIT;
CREATE CAST (double precision[] AS vss_vector)
	WITH FUNCTION vss_vector(double precision[], integer, boolean) AS IMPLICIT;
CREATE CAST (numeric[] AS vss_vector)
	WITH FUNCTION vss_vector(numeric[], integer, boolean) AS IMPLICIT;
CREATE CAST (integer[] AS vss_vector)
	WITH FUNCTION vss_vector(integer[], integer, boolean) AS IMPLICIT;
CREATE CAST (vss_vector AS real[])
	WITH FUNCTION vss_vector_to_array(vss_vector) AS ASSIGNMENT;
-- A JSON array of numbers is spelled as a vector is, so the text forms do.  A
-- function to json lets to_json and its like write an array, not a string.
-- Casts from and to text are PostgreSQL's own I/O conversions.
CREATE CAST (json AS vss_vector) WITH INOUT;
CREATE CAST (jsonb AS vss_vector) WITH INOUT;
CREATE CAST (vss_vector AS json) WITH FUNCTION vss_vector_to_json(vss_vector);
CREATE CAST (vss_vector AS jsonb) WITH INOUT;

-- ---------- distances ----------

-- Their cost is that of some 300 dimensions, in units of a simple function's.

CREATE FUNCTION vss_cosine_distance(vss_vector, vss_vector) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION vss_cosine_distance(vss_vector, vss_vector) IS 'implementation of <=> operator';
CREATE FUNCTION vss_l2_distance(vss_vector, vss_vector) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION vss_l2_distance(vss_vector, vss_vector) IS 'implementation of <-> operator';
CREATE FUNCTION vss_negative_inner_product(vss_vector, vss_vector) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION vss_negative_inner_product(vss_vector, vss_vector) IS 'implementation of <#> operator';
CREATE FUNCTION vss_inner_product(vss_vector, vss_vector) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION vss_inner_product(vss_vector, vss_vector) IS 'inner product of two vectors';
CREATE FUNCTION vss_l1_distance(vss_vector, vss_vector) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20;
COMMENT ON FUNCTION vss_l1_distance(vss_vector, vss_vector) IS 'implementation of <+> operator';

CREATE OPERATOR <=> (
	LEFTARG = vss_vector, RIGHTARG = vss_vector, FUNCTION = vss_cosine_distance, COMMUTATOR = <=>
);
COMMENT ON OPERATOR <=> (vss_vector, vss_vector) IS 'cosine distance';
CREATE OPERATOR <-> (
	LEFTARG = vss_vector, RIGHTARG = vss_vector, FUNCTION = vss_l2_distance, COMMUTATOR = <->
);
COMMENT ON OPERATOR <-> (vss_vector, vss_vector) IS 'Euclidean distance';
CREATE OPERATOR <#> (
	LEFTARG = vss_vector, RIGHTARG = vss_vector, FUNCTION = vss_negative_inner_product, COMMUTATOR = <#>
);
COMMENT ON OPERATOR <#> (vss_vector, vss_vector) IS 'negative inner product';
CREATE OPERATOR <+> (
	LEFTARG = vss_vector, RIGHTARG = vss_vector, FUNCTION = vss_l1_distance, COMMUTATOR = <+>
);
COMMENT ON OPERATOR <+> (vss_vector, vss_vector) IS 'sum of absolute differences';

CREATE FUNCTION vss_norm(vss_vector) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vss_norm(vss_vector) IS 'Euclidean length';
CREATE FUNCTION vss_dims(vss_vector) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vss_dims(vss_vector) IS 'number of dimensions';
CREATE FUNCTION vss_l2_normalize(vss_vector) RETURNS vss_vector
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vss_l2_normalize(vss_vector) IS 'the vector of length 1 in the same direction';
CREATE FUNCTION vss_subvector(vss_vector, start integer, count integer) RETURNS vss_vector
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vss_subvector(vss_vector, integer, integer) IS 'count elements from start on, 1 is the first';
CREATE FUNCTION vss_binary_quantize(vss_vector) RETURNS bit
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vss_binary_quantize(vss_vector) IS 'a bit for each element: whether it is above zero';
CREATE FUNCTION vss_hamming_distance(bit, bit) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vss_hamming_distance(bit, bit) IS 'how many bits differ';
CREATE FUNCTION vss_jaccard_distance(bit, bit) RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vss_jaccard_distance(bit, bit) IS '1 - bits in common / bits of either';

-- ---------- comparison, arithmetic ----------

-- Arrays become vectors implicitly.  An operator = (vss_vector, vss_vector)
-- would therefore compete with array equality, and `ARRAY[1,2] = ARRAY[1,2]`
-- be "not unique" in every database that has this extension; the same holds
-- for all names that polymorphic array operators and aggregates share.  So
-- these are declared for vss_ordered, to which vss_vector is binary-coercible
-- and arrays are not.  (varchar borrows its operators from text in this way.)
-- It is the preferred type of the category that the two have to themselves, so
-- that `vector || '[1,2]'` is no concatenation of texts.

CREATE TYPE vss_ordered;

CREATE FUNCTION vss_ordered_in(cstring, oid, integer) RETURNS vss_ordered
	AS 'MODULE_PATHNAME', 'vss_vector_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vss_ordered_out(vss_ordered) RETURNS cstring
	AS 'MODULE_PATHNAME', 'vss_vector_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vss_ordered_recv(internal, oid, integer) RETURNS vss_ordered
	AS 'MODULE_PATHNAME', 'vss_vector_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vss_ordered_send(vss_ordered) RETURNS bytea
	AS 'MODULE_PATHNAME', 'vss_vector_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE TYPE vss_ordered (
	INPUT = vss_ordered_in,
	OUTPUT = vss_ordered_out,
	RECEIVE = vss_ordered_recv,
	SEND = vss_ordered_send,
	STORAGE = external,
	CATEGORY = 'V',
	PREFERRED = true
);
COMMENT ON TYPE vss_ordered IS 'carries comparison and arithmetic of vss_vector; declare columns as vss_vector';

CREATE CAST (vss_vector AS vss_ordered) WITHOUT FUNCTION AS IMPLICIT;
CREATE CAST (vss_ordered AS vss_vector) WITHOUT FUNCTION AS ASSIGNMENT;

CREATE FUNCTION vss_vector_lt(vss_ordered, vss_ordered) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION vss_vector_le(vss_ordered, vss_ordered) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION vss_vector_eq(vss_ordered, vss_ordered) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION vss_vector_ne(vss_ordered, vss_ordered) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION vss_vector_ge(vss_ordered, vss_ordered) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION vss_vector_gt(vss_ordered, vss_ordered) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION vss_vector_cmp(vss_ordered, vss_ordered) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION vss_vector_hash(vss_ordered) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION vss_vector_hash_extended(vss_ordered, bigint) RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE;
CREATE FUNCTION vss_vector_add(vss_ordered, vss_ordered) RETURNS vss_vector
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vss_vector_sub(vss_ordered, vss_ordered) RETURNS vss_vector
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE FUNCTION vss_vector_mul(vss_ordered, vss_ordered) RETURNS vss_vector
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vss_vector_concat(vss_ordered, vss_ordered) RETURNS vss_vector
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE OPERATOR < (
	LEFTARG = vss_ordered, RIGHTARG = vss_ordered, FUNCTION = vss_vector_lt,
	COMMUTATOR = >, NEGATOR = >=, RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR < (vss_ordered, vss_ordered) IS 'less than';
CREATE OPERATOR <= (
	LEFTARG = vss_ordered, RIGHTARG = vss_ordered, FUNCTION = vss_vector_le,
	COMMUTATOR = >=, NEGATOR = >, RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR <= (vss_ordered, vss_ordered) IS 'less than or equal';
CREATE OPERATOR = (
	LEFTARG = vss_ordered, RIGHTARG = vss_ordered, FUNCTION = vss_vector_eq,
	COMMUTATOR = =, NEGATOR = <>, RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES
);
COMMENT ON OPERATOR = (vss_ordered, vss_ordered) IS 'equal';
CREATE OPERATOR <> (
	LEFTARG = vss_ordered, RIGHTARG = vss_ordered, FUNCTION = vss_vector_ne,
	COMMUTATOR = <>, NEGATOR = =, RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR <> (vss_ordered, vss_ordered) IS 'not equal';
CREATE OPERATOR >= (
	LEFTARG = vss_ordered, RIGHTARG = vss_ordered, FUNCTION = vss_vector_ge,
	COMMUTATOR = <=, NEGATOR = <, RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR >= (vss_ordered, vss_ordered) IS 'greater than or equal';
CREATE OPERATOR > (
	LEFTARG = vss_ordered, RIGHTARG = vss_ordered, FUNCTION = vss_vector_gt,
	COMMUTATOR = <, NEGATOR = <=, RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR > (vss_ordered, vss_ordered) IS 'greater than';
CREATE OPERATOR + (
	LEFTARG = vss_ordered, RIGHTARG = vss_ordered, FUNCTION = vss_vector_add, COMMUTATOR = +
);
COMMENT ON OPERATOR + (vss_ordered, vss_ordered) IS 'sum of two vectors';
CREATE OPERATOR - (
	LEFTARG = vss_ordered, RIGHTARG = vss_ordered, FUNCTION = vss_vector_sub
);
COMMENT ON OPERATOR - (vss_ordered, vss_ordered) IS 'difference of two vectors';
CREATE OPERATOR * (
	LEFTARG = vss_ordered, RIGHTARG = vss_ordered, FUNCTION = vss_vector_mul, COMMUTATOR = *
);
COMMENT ON OPERATOR * (vss_ordered, vss_ordered) IS 'product of the elements of two vectors';
CREATE OPERATOR || (
	LEFTARG = vss_ordered, RIGHTARG = vss_ordered, FUNCTION = vss_vector_concat
);
COMMENT ON OPERATOR || (vss_ordered, vss_ordered) IS 'concatenate';

CREATE OPERATOR CLASS vss_vector_ops DEFAULT FOR TYPE vss_ordered USING btree AS
	OPERATOR 1 <,
	OPERATOR 2 <=,
	OPERATOR 3 =,
	OPERATOR 4 >=,
	OPERATOR 5 >,
	FUNCTION 1 vss_vector_cmp(vss_ordered, vss_ordered);
CREATE OPERATOR CLASS vss_vector_hash_ops DEFAULT FOR TYPE vss_ordered USING hash AS
	OPERATOR 1 =,
	FUNCTION 1 vss_vector_hash(vss_ordered),
	FUNCTION 2 vss_vector_hash_extended(vss_ordered, bigint);

-- ---------- aggregates ----------

CREATE FUNCTION vss_vector_accumulate(internal, vss_ordered) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION vss_vector_combine(internal, internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION vss_vector_serialize(internal) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vss_vector_deserialize(bytea, internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION vss_vector_sum(internal) RETURNS vss_vector
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION vss_vector_avg(internal) RETURNS vss_vector
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;

CREATE AGGREGATE sum(vss_ordered) (
	SFUNC = vss_vector_accumulate, STYPE = internal, FINALFUNC = vss_vector_sum,
	COMBINEFUNC = vss_vector_combine, SERIALFUNC = vss_vector_serialize,
	DESERIALFUNC = vss_vector_deserialize, PARALLEL = SAFE
);
COMMENT ON AGGREGATE sum(vss_ordered) IS 'sum of vectors, element by element';
CREATE AGGREGATE avg(vss_ordered) (
	SFUNC = vss_vector_accumulate, STYPE = internal, FINALFUNC = vss_vector_avg,
	COMBINEFUNC = vss_vector_combine, SERIALFUNC = vss_vector_serialize,
	DESERIALFUNC = vss_vector_deserialize, PARALLEL = SAFE
);
COMMENT ON AGGREGATE avg(vss_ordered) IS 'mean of vectors, element by element';

-- ---------- embeddings ----------

-- a call costs a request over the network, and so must never be free to repeat
CREATE FUNCTION vss_embed(content text, server text DEFAULT NULL) RETURNS vss_vector
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED COST 1000000;
COMMENT ON FUNCTION vss_embed(text, text) IS 'vector of a text, from the embedding server of a vss_fdw server';
CREATE FUNCTION vss_embed(contents text[], server text DEFAULT NULL) RETURNS vss_vector[]
	AS 'MODULE_PATHNAME', 'vss_embed_array' LANGUAGE C STABLE PARALLEL RESTRICTED COST 1000000;
COMMENT ON FUNCTION vss_embed(text[], text) IS 'vectors of texts, in order, asked for in batches';
REVOKE ALL ON FUNCTION vss_embed(text, text), vss_embed(text[], text) FROM PUBLIC;

CREATE PROCEDURE vss_embed_table("table" regclass, text_column name, vector_column name,
	condition text DEFAULT NULL, batch integer DEFAULT NULL, server text DEFAULT NULL,
	INOUT embedded bigint DEFAULT NULL, INOUT failed bigint DEFAULT NULL)
	AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON PROCEDURE vss_embed_table(regclass, name, name, text, integer, text, bigint, bigint)
	IS 'embed the texts of the rows that have no vector, in batches, committed as it goes';
REVOKE ALL ON PROCEDURE vss_embed_table(regclass, name, name, text, integer, text, bigint, bigint) FROM PUBLIC;

-- ---------- vss_knn ----------

-- Three forms and no more: with others (regclass, real[], integer for k) calls
-- with untyped literals and parameters would become ambiguous.

CREATE FUNCTION vss_knn_support(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C STRICT;
COMMENT ON FUNCTION vss_knn_support(internal) IS 'planner support of vss_knn: rows are k';

CREATE FUNCTION vss_knn(index text, query vss_vector, k bigint, ef integer DEFAULT NULL)
	RETURNS TABLE (rowid bigint, distance double precision)
	AS 'MODULE_PATHNAME', 'vss_knn_index' LANGUAGE C STABLE PARALLEL RESTRICTED
	COST 1000 ROWS 10 SUPPORT vss_knn_support;
COMMENT ON FUNCTION vss_knn(text, vss_vector, bigint, integer)
	IS 'the k rows nearest to query of the index that a foreign table names';

CREATE FUNCTION vss_knn(query vss_vector, k bigint)
	RETURNS TABLE (rowid bigint, distance double precision)
	AS 'MODULE_PATHNAME', 'vss_knn_only' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED
	COST 1000 ROWS 10 SUPPORT vss_knn_support;
COMMENT ON FUNCTION vss_knn(vss_vector, bigint)
	IS 'the k rows nearest to query of the only index that is imported';

CREATE FUNCTION vss_knn("column" vss_vector, query vss_vector, k bigint, ef integer DEFAULT NULL) RETURNS boolean
	AS 'MODULE_PATHNAME', 'vss_knn_predicate' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION vss_knn(vss_vector, vss_vector, bigint, integer)
	IS 'condition: the row is among the k nearest to query of the column''s whole index';

-- ---------- full text ----------

-- never called: the planner has SQLite test it, or calling it is an error; so
-- no plan may seem cheap that calls it
CREATE FUNCTION vss_match("row" record, query text) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 1000000;
COMMENT ON FUNCTION vss_match(record, text) IS 'condition: the row matches a full-text query of SQLite''s';
CREATE FUNCTION vss_match("column" text, query text) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 1000000;
COMMENT ON FUNCTION vss_match(text, text) IS 'condition: the column matches a full-text query of SQLite''s';
CREATE OPERATOR @@@ (
	LEFTARG = record, RIGHTARG = text, FUNCTION = vss_match, RESTRICT = contsel, JOIN = contjoinsel
);
COMMENT ON OPERATOR @@@ (record, text) IS 'the row matches a full-text query';
CREATE OPERATOR @@@ (
	LEFTARG = text, RIGHTARG = text, FUNCTION = vss_match, RESTRICT = contsel, JOIN = contjoinsel
);
COMMENT ON OPERATOR @@@ (text, text) IS 'the column matches a full-text query';

CREATE FUNCTION vss_hybrid("table" text, query vss_vector, "text" text, k bigint DEFAULT 10,
	rrf_k double precision DEFAULT NULL, vector_weight double precision DEFAULT NULL,
	text_weight double precision DEFAULT NULL, candidates bigint DEFAULT NULL, full_text text DEFAULT NULL)
	RETURNS TABLE (rowid bigint, score double precision, distance double precision, rank double precision)
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED
	COST 1000 ROWS 10 SUPPORT vss_knn_support;
COMMENT ON FUNCTION vss_hybrid(text, vss_vector, text, bigint, double precision, double precision, double precision, bigint, text)
	IS 'nearest vectors and best texts of a table as one list, by reciprocal rank fusion';

-- ---------- the foreign-data wrapper ----------

CREATE FUNCTION vss_fdw_handler() RETURNS fdw_handler
	AS 'MODULE_PATHNAME' LANGUAGE C STRICT;
CREATE FUNCTION vss_fdw_validator(text[], oid) RETURNS void
	AS 'MODULE_PATHNAME' LANGUAGE C STRICT;

CREATE FOREIGN DATA WRAPPER vss_fdw
	HANDLER vss_fdw_handler
	VALIDATOR vss_fdw_validator;

-- ---------- connections, SQL as it stands, versions ----------

CREATE FUNCTION vss_fdw_get_connections(
	OUT server_name text, OUT valid boolean, OUT used_in_xact boolean)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION vss_fdw_get_connections()
	IS 'open SQLite connections of this session';
CREATE FUNCTION vss_fdw_disconnect(server_name text) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION vss_fdw_disconnect(text)
	IS 'close this session''s SQLite connection of a server';
CREATE FUNCTION vss_fdw_disconnect_all() RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION vss_fdw_disconnect_all()
	IS 'close all SQLite connections of this session';

CREATE FUNCTION vss_exec(server text, sql text) RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE C STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION vss_exec(text, text)
	IS 'run SQL in SQLite; returns the number of rows changed';
REVOKE ALL ON FUNCTION vss_exec(text, text) FROM PUBLIC;

CREATE FUNCTION vss_query(server text, sql text) RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION vss_query(text, text)
	IS 'rows of a SELECT in SQLite';
REVOKE ALL ON FUNCTION vss_query(text, text) FROM PUBLIC;

CREATE FUNCTION vss_sqlite_version() RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vss_sqlite_version()
	IS 'version of the SQLite library';

-- ---------- maintenance of an index ----------

CREATE FUNCTION vss_index_info(index regclass) RETURNS jsonb
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION vss_index_info(regclass)
	IS 'parameters, size and state of an hnsw index';
CREATE FUNCTION vss_check(index regclass) RETURNS SETOF text
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION vss_check(regclass)
	IS 'compare an hnsw index with the rows it indexes; one line a finding';
CREATE FUNCTION vss_recall(index regclass, k integer DEFAULT 10, samples integer DEFAULT 100,
	questions text DEFAULT 'stored')
	RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION vss_recall(regclass, integer, integer, text)
	IS 'mean share of the k nearest that a search with an hnsw index finds, against exact search';
CREATE FUNCTION vss_tune(index regclass, queries vss_vector[] DEFAULT NULL) RETURNS jsonb
	AS 'MODULE_PATHNAME' LANGUAGE C PARALLEL UNSAFE;
COMMENT ON FUNCTION vss_tune(regclass, vss_vector[])
	IS 'measure how far searches of an hnsw index must go for questions like these, and keep that';
CREATE FUNCTION vss_merge(index regclass) RETURNS void
	AS 'MODULE_PATHNAME' LANGUAGE C STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION vss_merge(regclass)
	IS 'bring the graph of an hnsw index up to date';
CREATE FUNCTION vss_rebuild(index regclass) RETURNS void
	AS 'MODULE_PATHNAME' LANGUAGE C STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION vss_rebuild(regclass)
	IS 'build the graph of an hnsw index anew from the rows it indexes';
CREATE FUNCTION vss_create_index("table" regclass, "column" name, metric text DEFAULT 'cosine',
	m integer DEFAULT NULL, ef_construction integer DEFAULT NULL, ef_search integer DEFAULT NULL,
	dimensions integer DEFAULT NULL, index_name name DEFAULT NULL, if_not_exists boolean DEFAULT false)
	RETURNS regclass
	AS 'MODULE_PATHNAME' LANGUAGE C PARALLEL UNSAFE;
COMMENT ON FUNCTION vss_create_index(regclass, name, text, integer, integer, integer, integer, name, boolean)
	IS 'create, fill and import an hnsw index over a column of a foreign table';
CREATE FUNCTION vss_drop_index(index regclass) RETURNS void
	AS 'MODULE_PATHNAME' LANGUAGE C STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION vss_drop_index(regclass)
	IS 'remove an hnsw index with its triggers from SQLite, and its foreign tables';

-- Background merges.  As in pg_stat_activity, the texts of other users' are hidden.
CREATE VIEW vss_merges AS
	SELECT a.pid, a.usename, a.backend_start AS started, a.query AS activity,
		CASE WHEN p.blocks_total > 0 THEN 'writing' WHEN p.tuples_total > 0 THEN 'building' ELSE 'starting' END AS phase,
		p.tuples_done AS rows_done, p.tuples_total AS rows_total,
		CASE WHEN p.blocks_total > 0 THEN round(p.blocks_done::numeric / p.blocks_total, 3)
			WHEN p.tuples_total > 0 THEN round(p.tuples_done::numeric / p.tuples_total, 3) ELSE 0 END AS share
	FROM pg_stat_activity a LEFT JOIN pg_stat_progress_create_index p ON p.pid = a.pid
	WHERE a.backend_type = 'vss_fdw merge';
COMMENT ON VIEW vss_merges IS 'background merges of hnsw indexes that are running in this server';
GRANT SELECT ON vss_merges TO PUBLIC;

-- The indexes of all servers.  It asks each by vss_query, with the rights of whoever reads the view.
CREATE VIEW vss_indexes AS
	SELECT s.srvname AS server, i.name AS "index", i.content AS "table", i.content_vector AS "column", i.metric, i.dim,
		(i.info ->> 'rows')::bigint AS "rows", (i.info ->> 'delta_rows')::bigint AS changes,
		(i.info ->> 'merge_due')::boolean AS merge_due, i.info #>> '{graph,state}' AS graph,
		i.info #>> '{graph,reason}' AS reason, (i.info #>> '{graph,bytes}')::bigint AS bytes
	FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
		CROSS JOIN LATERAL vss_query(s.srvname, $$
			SELECT name, content, content_vector, metric, dim, hnsw_info(name) FROM hnsw_indexes WHERE schema = 'main'
			$$) AS i(name text, content text, content_vector text, metric text, dim integer, info jsonb)
	WHERE w.fdwhandler = 'vss_fdw_handler()'::regprocedure AND has_server_privilege(s.oid, 'USAGE');
COMMENT ON VIEW vss_indexes IS 'hnsw indexes of all servers: size, changes since the last merge, state of the graph';
GRANT SELECT ON vss_indexes TO PUBLIC;

REVOKE ALL ON FUNCTION vss_index_info(regclass), vss_check(regclass), vss_merge(regclass),
	vss_recall(regclass, integer, integer, text), vss_tune(regclass, vss_vector[]),
	vss_rebuild(regclass),
	vss_create_index(regclass, name, text, integer, integer, integer, integer, name, boolean),
	vss_drop_index(regclass)
	FROM PUBLIC;
