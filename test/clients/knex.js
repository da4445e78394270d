const pgvector = require('pgvector/knex');
const knex = require('knex')({ client: 'pg', connection: { host: process.env.PGHOST, database: process.env.PGDATABASE } });
const { check, same } = require('./check');

(async () => {
	await check('enableExtension', () => knex.schema.enableExtension('vector'));
	await check('insert of several rows', () =>
		knex('items').insert([[1, [1, 1, 1]], [2, [2, 2, 2]], [3, [1, 1, 2]]].map(([id, v]) => ({ id, name: `item ${id}`, embedding: pgvector.toSql(v) }))));
	for (const distance of ['l2Distance', 'cosineDistance', 'l1Distance', 'maxInnerProduct'])
		await check(`nearest neighbours: ${distance}`, async () =>
			same((await knex('items').orderBy(knex[distance]('embedding', [1, 1, 2])).limit(1)).length, 1));
	await check('in order', async () =>
		same((await knex('items').select('id').orderBy(knex.l2Distance('embedding', [1, 1, 1])).limit(2)).map((r) => r.id), ['1', '3']));
	await check('onConflict().merge()', async () => {
		await knex('items').insert({ id: 3, name: 'item 3', embedding: pgvector.toSql([9, 9, 9]) }).onConflict('id').merge();
		same(pgvector.fromSql((await knex('items').where('id', 3))[0].embedding), [9, 9, 9]);
	});
	await check('a table of its own', async () => {
		await knex.schema.createTable('local', (table) => { table.increments('id'); table.vector('embedding', { dimensions: 3 }); });
		await knex('local').insert({ embedding: pgvector.toSql([1, 2, 3]) });
		same((await knex('local').select('id').orderBy(knex.cosineDistance('embedding', [1, 2, 3]))).length, 1);
	});
	await knex.destroy();
})();
