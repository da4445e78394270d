const { Client } = require('pg');
const pgvector = require('pgvector/pg');
const { check, same, asksIndex } = require('./check');

(async () => {
	const client = new Client({ host: process.env.PGHOST });
	await client.connect();
	await check('the type is found', () => pgvector.registerTypes(client));
	await check('insert', async () => {
		for (const [id, embedding] of [[1, [1, 1, 1]], [2, [2, 2, 2]], [3, [1, 1, 2]]])
			await client.query('INSERT INTO items (id, name, embedding) VALUES ($1, $2, $3)', [id, `item ${id}`, pgvector.toSql(embedding)]);
	});
	await check('a vector comes back as an array of numbers', async () =>
		same((await client.query('SELECT embedding FROM items WHERE id = 3')).rows[0].embedding, [1, 1, 2]));
	await check('nearest neighbours', async () =>
		same((await client.query('SELECT id FROM items ORDER BY embedding <-> $1 LIMIT 2', [pgvector.toSql([1, 1, 1])])).rows.map((r) => r.id), ['1', '3']));
	await check('by the index', async () =>
		asksIndex((await client.query("EXPLAIN SELECT id FROM items ORDER BY embedding <-> '[1,1,1]' LIMIT 2")).rows, 'items_l2'));
	await check('average', async () =>
		same((await client.query('SELECT avg(embedding) AS mean FROM items WHERE id < 3')).rows[0].mean, [1.5, 1.5, 1.5]));
	await check('SET hnsw.ef_search, hnsw.iterative_scan', async () => {
		await client.query('BEGIN; SET LOCAL hnsw.ef_search = 100; SET LOCAL hnsw.iterative_scan = strict_order');
		same((await client.query('SELECT id FROM items ORDER BY embedding <=> $1 LIMIT 1', [pgvector.toSql([1, 1, 2])])).rows[0].id, '3');
		await client.query('COMMIT');
	});
	await check('upsert', async () => {
		await client.query('INSERT INTO items (id, name, embedding) VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET embedding = EXCLUDED.embedding',
			[3, 'item 3', pgvector.toSql([9, 9, 9])]);
		same((await client.query('SELECT embedding FROM items WHERE id = 3')).rows[0].embedding, [9, 9, 9]);
	});
	await check('wrong dimensions are 22000', async () => {
		const error = await client.query('SELECT $1::vector(3)', ['[1,2]']).catch((e) => e);
		same([error.code, error.message], ['22000', 'expected 3 dimensions, not 2']);
	});
	await client.end();
})();
