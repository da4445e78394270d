<?php
// php -d sqlite3.extension_dir=FOLDER host.php NAME ...: PHP loads from that folder alone
[, $hnsw, $database, $steps] = $argv;

function connect($database, $hnsw)
{
    $db = new SQLite3($database);
    $db->enableExceptions(true);
    $db->busyTimeout(5000);
    $db->loadExtension(basename($hnsw) . '.so');
    return $db;
}

function show($db, $sql, $value = null, $type = null)
{
    $stmt = $db->prepare($sql);
    if ($value !== null) {
        $stmt->bindValue(1, $value, $type);
        $stmt->bindValue(2, 3, SQLITE3_INTEGER);
    }
    $result = $stmt->execute();
    $out = [];
    while ($row = $result->fetchArray(SQLITE3_NUM))
        $out[] = $row[0];
    echo implode(' ', $out), "\n";
    $stmt->close();
}

$db = connect($database, $hnsw);
foreach (file($steps, FILE_IGNORE_NEW_LINES) as $line) {
    $f = explode("\t", $line);
    switch ($f[0]) {
        case 'E': $db->exec($f[1]); break;
        case 'Q': show($db, $f[1]); break;
        case 'B': show($db, $f[2], hex2bin($f[1]), SQLITE3_BLOB); break;
        case 'T': show($db, $f[2], $f[1], SQLITE3_TEXT); break;
        case 'F':
            try {
                show($db, $f[2], hex2bin($f[1]), SQLITE3_BLOB);
            } catch (Exception $e) {
                echo str_contains($e->getMessage(), 'dimensions') ? 'refused' : $e->getMessage(), "\n";
            }
            break;
        case 'C': $db->close(); $db = connect($database, $hnsw); break;
    }
}
$db->close();
