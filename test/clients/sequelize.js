const { Sequelize, DataTypes } = require('sequelize');
const pgvector = require('pgvector/sequelize');
const { check, same } = require('./check');

(async () => {
	pgvector.registerTypes(Sequelize);
	const sequelize = new Sequelize(process.env.PGDATABASE, process.env.PGUSER, '', { host: process.env.PGHOST, dialect: 'postgres', logging: false });
	const Item = sequelize.define('Item', { id: { type: DataTypes.BIGINT, primaryKey: true }, name: DataTypes.TEXT, embedding: DataTypes.VECTOR(3) },
		{ tableName: 'items', timestamps: false });
	await check('bulkCreate', () => Item.bulkCreate([[1, [1, 1, 1]], [2, [2, 2, 2]], [3, [1, 1, 2]]].map(([id, embedding]) => ({ id, name: `item ${id}`, embedding }))));
	for (const distance of ['l2Distance', 'cosineDistance', 'l1Distance', 'maxInnerProduct'])
		await check(`nearest neighbours: ${distance}`, async () =>
			same((await Item.findAll({ order: pgvector[distance]('embedding', [1, 1, 2], sequelize), limit: 1 })).length, 1));
	await check('in order, vectors come back as arrays of numbers', async () =>
		same((await Item.findAll({ order: pgvector.l2Distance('embedding', [1, 1, 1], sequelize), limit: 2 })).map((r) => r.embedding), [[1, 1, 1], [1, 1, 2]]));
	await check('upsert', async () => {
		await Item.upsert({ id: 3, name: 'item 3', embedding: [9, 9, 9] });
		same((await Item.findByPk(3)).embedding, [9, 9, 9]);
	});
	await sequelize.close();
})();
