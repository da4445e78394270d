// search HNSW DATABASE: the three words nearest to a question.
package main

import (
	"bytes"
	"database/sql"
	"encoding/binary"
	"fmt"
	"log"
	"os"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// blob gives a vector as the extension stores it: float32, little-endian.
func blob(vector ...float32) []byte {
	var out bytes.Buffer
	binary.Write(&out, binary.LittleEndian, vector)
	return out.Bytes()
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	// every connection of the pool loads the extension
	sql.Register("sqlite3_hnsw", &sqlite3.SQLiteDriver{Extensions: []string{os.Args[1]}})
	db, err := sql.Open("sqlite3_hnsw", os.Args[2])
	check(err)
	defer db.Close()

	_, err = db.Exec(`
		CREATE TABLE documents(id INTEGER PRIMARY KEY, content TEXT NOT NULL, embedding BLOB);
		CREATE VIRTUAL TABLE vss USING hnsw(dim = 3, content = documents, content_rowid = id,
		                                    content_vector = embedding)`)
	check(err)
	words := []struct {
		content string
		vector  []byte
	}{
		{"pear", blob(0.8, 0.2, 0.3)}, {"Birne", blob(0.8, 0.2, 0.35)}, {"lemon", blob(0.1, 0.9, 0.1)},
		{"Zitrone", blob(0.1, 0.9, 0.15)}, {"carrot", blob(0.4, 0.1, 0.9)}, {"Möhre", blob(0.4, 0.1, 0.95)},
	}
	for _, word := range words {
		_, err = db.Exec("INSERT INTO documents(content, embedding) VALUES (?, ?)", word.content, word.vector)
		check(err)
	}

	rows, err := db.Query(`
		SELECT d.content, k.distance FROM vss_knn(?, 3) AS k JOIN documents d ON d.id = k.rowid
		ORDER BY k.distance`, blob(0.9, 0.2, 0.3))
	check(err)
	defer rows.Close()
	for rows.Next() {
		var content string
		var distance float64
		check(rows.Scan(&content, &distance))
		fmt.Printf("%s %.4f\n", content, distance)
	}
	check(rows.Err())
}
