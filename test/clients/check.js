// What the programs share: one line for each thing that was tried.
const assert = require('node:assert');

exports.check = async (what, run) => {
	try {
		await run();
		console.log(`ok ${what}`);
	} catch (error) {
		console.log(`not ok ${what}: ${error.message.replaceAll('\n', ' ')}`);
	}
};
exports.same = (actual, expected) => assert.deepStrictEqual(actual, expected);

// The same plan that people read: the index is asked.
exports.asksIndex = (rows, index) => {
	const plan = rows.map((row) => Object.values(row)[0]).join('\n');
	assert.ok(plan.includes(`Index: ${index}`), plan);
};
