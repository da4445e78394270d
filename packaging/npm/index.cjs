"use strict";

// Which of the platforms' packages is installed; npm takes the one that fits.
function getLoadablePath() {
    const name = `sqlite-hnsw-${process.platform}-${process.arch}`;
    for (const candidate of [name, `${name}-musl`]) {
        try {
            return require.resolve(`${candidate}/hnsw.so`);
        } catch (e) {
            if (e.code !== "MODULE_NOT_FOUND") throw e;
        }
    }
    throw new Error(`sqlite-hnsw: the package ${name} is not installed; ` +
        "either there is none for this platform, or optional dependencies were left out");
}

function load(db) {
    db.loadExtension(getLoadablePath());
}

module.exports = { getLoadablePath, load };
