require "sqlite3"

hnsw, database, steps = ARGV

connect = lambda do
  db = SQLite3::Database.new(database)
  db.busy_timeout(5000)
  db.enable_load_extension(true)
  db.load_extension(hnsw)
  db
end

db = connect.call
show = ->(sql, *args) { puts db.execute(sql, args).map { |row| row[0] }.join(" ") }
blob = ->(hex) { SQLite3::Blob.new([hex].pack("H*")) }
File.foreach(steps, chomp: true) do |line|
  op, a, b = line.split("\t")
  case op
  when "E" then db.execute(a)
  when "Q" then show.(a)
  when "B" then show.(b, blob.(a), 3)
  when "T" then show.(b, a, 3)
  when "F"
    begin
      show.(b, blob.(a), 3)
    rescue SQLite3::SQLException => e
      puts e.message.include?("dimensions") ? "refused" : e.message
    end
  when "C"
    db.close
    db = connect.call
  end
end
db.close
