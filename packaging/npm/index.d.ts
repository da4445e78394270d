/** A database that loads extensions: of better-sqlite3, node:sqlite (with allowExtension), libsql, bun:sqlite. */
interface Database {
    loadExtension(file: string): unknown;
}

/** The path of the extension for this platform.  Throws where there is none. */
export declare function getLoadablePath(): string;

/** Load the extension into a connection. */
export declare function load(db: Database): void;
