const { Kysely, PostgresDialect } = require('kysely');
const { Pool } = require('pg');
const pgvector = require('pgvector/kysely');
const { check, same } = require('./check');

(async () => {
	const db = new Kysely({ dialect: new PostgresDialect({ pool: new Pool({ host: process.env.PGHOST }) }) });
	await check('insert of several rows', () =>
		db.insertInto('items').values([[1, [1, 1, 1]], [2, [2, 2, 2]], [3, [1, 1, 2]]].map(([id, v]) => ({ id, name: `item ${id}`, embedding: pgvector.toSql(v) }))).execute());
	for (const distance of ['l2Distance', 'cosineDistance', 'l1Distance', 'maxInnerProduct'])
		await check(`nearest neighbours: ${distance}`, async () =>
			same((await db.selectFrom('items').select('id').orderBy(pgvector[distance]('embedding', [1, 1, 2])).limit(1).execute()).length, 1));
	await check('in order', async () =>
		same((await db.selectFrom('items').select('id').orderBy(pgvector.l2Distance('embedding', [1, 1, 1])).limit(2).execute()).map((r) => r.id), ['1', '3']));
	await check('onConflict doUpdateSet', async () => {
		const embedding = pgvector.toSql([9, 9, 9]);
		await db.insertInto('items').values({ id: 3, name: 'item 3', embedding }).onConflict((oc) => oc.column('id').doUpdateSet({ embedding })).execute();
		same(pgvector.fromSql((await db.selectFrom('items').selectAll().where('id', '=', 3).execute())[0].embedding), [9, 9, 9]);
	});
	await db.destroy();
})();
