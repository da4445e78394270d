import java.nio.file.*;
import java.sql.*;
import java.util.*;

public class Host {
    static Connection db;

    static Connection connect(String hnsw, String database) throws SQLException {
        var properties = new Properties();
        properties.setProperty("enable_load_extension", "true");
        var connection = DriverManager.getConnection("jdbc:sqlite:" + database, properties);
        try (var stmt = connection.prepareStatement("SELECT load_extension(?)")) {
            stmt.setString(1, hnsw);
            stmt.execute();
        }
        return connection;
    }

    static void show(String sql, Object value) throws SQLException {
        try (var stmt = db.prepareStatement(sql)) {
            if (value instanceof byte[] bytes) stmt.setBytes(1, bytes);
            else if (value != null) stmt.setString(1, (String) value);
            if (value != null) stmt.setInt(2, 3);
            var out = new ArrayList<String>();
            try (var rows = stmt.executeQuery()) {
                while (rows.next()) out.add(rows.getString(1));
            }
            System.out.println(String.join(" ", out));
        }
    }

    public static void main(String[] args) throws Exception {
        db = connect(args[0], args[1]);
        for (var line : Files.readAllLines(Path.of(args[2]))) {
            var f = line.split("\t");
            switch (f[0]) {
                case "E" -> { try (var stmt = db.createStatement()) { stmt.execute(f[1]); } }
                case "Q" -> show(f[1], null);
                case "B" -> show(f[2], HexFormat.of().parseHex(f[1]));
                case "T" -> show(f[2], f[1]);
                case "F" -> {
                    try {
                        show(f[2], HexFormat.of().parseHex(f[1]));
                    } catch (SQLException e) {
                        System.out.println(e.getMessage().contains("dimensions") ? "refused" : e.getMessage());
                    }
                }
                case "C" -> { db.close(); db = connect(args[0], args[1]); }
                default -> { }
            }
        }
        db.close();
    }
}
