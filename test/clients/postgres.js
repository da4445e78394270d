const postgres = require('postgres');
const pgvector = require('pgvector');
const { check, same } = require('./check');

(async () => {
	const sql = postgres({ host: process.env.PGHOST, onnotice: () => {} });
	await check('insert of several rows', async () => {
		const rows = [[1, [1, 1, 1]], [2, [2, 2, 2]], [3, [1, 1, 2]]].map(([id, v]) => ({ id, name: `item ${id}`, embedding: pgvector.toSql(v) }));
		await sql`INSERT INTO items ${sql(rows, 'id', 'name', 'embedding')}`;
	});
	await check('nearest neighbours', async () =>
		same((await sql`SELECT id FROM items ORDER BY embedding <-> ${pgvector.toSql([1, 1, 1])} LIMIT 2`).map((r) => Number(r.id)), [1, 3]));
	await check('a vector comes back', async () =>
		same(pgvector.fromSql((await sql`SELECT embedding FROM items WHERE id = 3`)[0].embedding), [1, 1, 2]));
	await check('upsert', async () =>
		same((await sql`INSERT INTO items (id, name, embedding) VALUES (3, 'item 3', ${pgvector.toSql([9, 9, 9])})
			ON CONFLICT (id) DO UPDATE SET embedding = EXCLUDED.embedding RETURNING name`)[0].name, 'item 3'));
	await sql.end();
})();
