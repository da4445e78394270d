const { drizzle } = require('drizzle-orm/node-postgres');
const { pgTable, bigint, text, vector } = require('drizzle-orm/pg-core');
const { cosineDistance, innerProduct, l1Distance, l2Distance, eq, gt, sql, desc } = require('drizzle-orm');
const { Pool } = require('pg');
const { check, same } = require('./check');

const items = pgTable('items', {
	id: bigint('id', { mode: 'number' }).primaryKey(),
	name: text('name'),
	embedding: vector('embedding', { dimensions: 3 }),
});

(async () => {
	const pool = new Pool({ host: process.env.PGHOST });
	const db = drizzle(pool);
	await check('insert of several rows', () =>
		db.insert(items).values([[1, [1, 1, 1]], [2, [2, 2, 2]], [3, [1, 1, 2]]].map(([id, embedding]) => ({ id, name: `item ${id}`, embedding }))));
	for (const distance of [cosineDistance, innerProduct, l1Distance, l2Distance])
		await check(`nearest neighbours: ${distance.name}`, async () =>
			same((await db.select({ id: items.id }).from(items).orderBy(distance(items.embedding, [1, 1, 2])).limit(1)).length, 1));
	await check('in order', async () =>
		same((await db.select({ id: items.id }).from(items).orderBy(l2Distance(items.embedding, [1, 1, 1])).limit(2)).map((r) => r.id), [1, 3]));
	await check('similarity, as its guide writes it', async () => {
		const similarity = sql`1 - (${cosineDistance(items.embedding, [1, 1, 2])})`;
		same((await db.select({ id: items.id, similarity }).from(items).where(gt(similarity, 0.99)).orderBy(desc(similarity)).limit(4)).map((r) => r.id), [3]);
	});
	await check('a vector comes back as an array of numbers', async () =>
		same((await db.select().from(items).where(eq(items.id, 3)))[0].embedding, [1, 1, 2]));
	await check('onConflictDoUpdate', async () => {
		await db.insert(items).values({ id: 3, name: 'item 3', embedding: [9, 9, 9] }).onConflictDoUpdate({ target: items.id, set: { embedding: [9, 9, 9] } });
		same((await db.select().from(items).where(eq(items.id, 3)))[0].embedding, [9, 9, 9]);
	});
	await pool.end();
})();
