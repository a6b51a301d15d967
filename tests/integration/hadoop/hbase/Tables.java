// The tests' own writer and reader of HBase, which knows nothing of Lockstep: a command a line on standard
// input, an answer a line on standard output ("ok TEXT", "error TEXT"). Run from its source.
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.TreeSet;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hbase.Cell;
import org.apache.hadoop.hbase.CellUtil;
import org.apache.hadoop.hbase.HBaseConfiguration;
import org.apache.hadoop.hbase.NamespaceDescriptor;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.client.Admin;
import org.apache.hadoop.hbase.client.BufferedMutator;
import org.apache.hadoop.hbase.client.ColumnFamilyDescriptor;
import org.apache.hadoop.hbase.client.ColumnFamilyDescriptorBuilder;
import org.apache.hadoop.hbase.client.Connection;
import org.apache.hadoop.hbase.client.ConnectionFactory;
import org.apache.hadoop.hbase.client.Delete;
import org.apache.hadoop.hbase.client.Put;
import org.apache.hadoop.hbase.client.RegionInfo;
import org.apache.hadoop.hbase.client.Result;
import org.apache.hadoop.hbase.client.ResultScanner;
import org.apache.hadoop.hbase.client.Scan;
import org.apache.hadoop.hbase.client.SnapshotDescription;
import org.apache.hadoop.hbase.client.Table;
import org.apache.hadoop.hbase.client.TableDescriptorBuilder;
import org.apache.hadoop.hbase.io.compress.Compression;
import org.apache.hadoop.hbase.regionserver.BloomType;
import org.apache.hadoop.hbase.util.Bytes;

public class Tables {
  private static volatile boolean writing;
  private static volatile long written;
  private static Thread writer;

  public static void main(String[] words) throws Exception {
    Configuration conf = HBaseConfiguration.create();
    try (Connection connection = ConnectionFactory.createConnection(conf); Admin admin = connection.getAdmin();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
      for (String line; (line = in.readLine()) != null; ) {
        String answer;
        try {
          answer = "ok " + perform(connection, admin, line.trim().split(" "));
        } catch (Exception error) {
          answer = "error " + error.toString().replace('\n', ' ');
        }
        System.out.println(answer);
        System.out.flush();
      }
    }
    System.exit(0);
  }

  private static byte[] key(long number) {
    return Bytes.toBytes(String.format("%08d", number * 2654435761L % 100000000L));
  }

  private static String perform(Connection connection, Admin admin, String[] words) throws Exception {
    TableName name = words.length > 1 ? TableName.valueOf(words[1]) : null;
    switch (words[0]) {
      case "create": {  // TABLE REGIONS
        makeNamespace(admin, name);
        TableDescriptorBuilder table = TableDescriptorBuilder.newBuilder(name)
            .setColumnFamily(ColumnFamilyDescriptorBuilder.newBuilder(Bytes.toBytes("f")).setMaxVersions(3)
                .setTimeToLive(864000).setCompressionType(Compression.Algorithm.GZ).build())
            .setColumnFamily(ColumnFamilyDescriptorBuilder.newBuilder(Bytes.toBytes("g"))
                .setBloomFilterType(BloomType.ROWCOL).setBlocksize(16384).build());
        int regions = Integer.parseInt(words[2]);
        byte[][] splits = new byte[regions - 1][];
        for (int i = 1; i < regions; i++) splits[i - 1] = Bytes.toBytes(String.format("%08d", 100000000L * i / regions));
        if (regions == 1) admin.createTable(table.build());
        else admin.createTable(table.build(), splits);
        return "";
      }
      case "put": {  // TABLE FROM COUNT BYTES: noise, so that it does not compress
        long from = Long.parseLong(words[2]);
        Random random = new Random(from);
        byte[] value = new byte[Integer.parseInt(words[4])];
        try (BufferedMutator mutator = connection.getBufferedMutator(name)) {
          for (long i = from; i < from + Long.parseLong(words[3]); i++) {
            random.nextBytes(value);
            mutator.mutate(new Put(key(i)).addColumn(Bytes.toBytes("f"), Bytes.toBytes("v"), value.clone())
                .addColumn(Bytes.toBytes("g"), Bytes.toBytes("n"), Bytes.toBytes(i)));
          }
        }
        return "";
      }
      case "remove": {  // TABLE FROM COUNT
        List<Delete> deletes = new ArrayList<>();
        long from = Long.parseLong(words[2]);
        for (long i = from; i < from + Long.parseLong(words[3]); i++) deletes.add(new Delete(key(i)));
        try (Table table = connection.getTable(name)) {
          table.delete(deletes);
        }
        return "";
      }
      case "flush": admin.flush(name); return "";
      case "compact": admin.majorCompact(name); return "";
      case "files": {  // how many HFiles HBase counts
        long count = 0;
        for (org.apache.hadoop.hbase.ServerName server : admin.getRegionServers()) {
          for (org.apache.hadoop.hbase.RegionMetrics region : admin.getRegionMetrics(server, name)) count += region.getStoreFileCount();
        }
        return "" + count;
      }
      case "digest": return digest(connection, name);
      case "describe": {
        StringBuilder all = new StringBuilder();
        for (ColumnFamilyDescriptor family : admin.getDescriptor(name).getColumnFamilies()) all.append(family).append(' ');
        for (RegionInfo region : admin.getRegions(name)) {
          all.append('[').append(Bytes.toString(region.getStartKey())).append(',').append(Bytes.toString(region.getEndKey())).append(']');
        }
        return all.toString();
      }
      case "tables": {  // NAMESPACE
        TreeSet<String> all = new TreeSet<>();
        for (TableName table : admin.listTableNamesByNamespace(words[1])) all.add(table.getQualifierAsString());
        return String.join(" ", all);
      }
      case "snapshots": {
        TreeSet<String> all = new TreeSet<>();
        for (SnapshotDescription one : admin.listSnapshots()) all.add(one.getName() + "=" + one.getTtl());
        return String.join(" ", all);
      }
      case "delete-snapshot": admin.deleteSnapshot(words[1]); return "";
      case "clear": {  // NAMESPACE: its tables, and it
        try {
          for (TableName table : admin.listTableNamesByNamespace(words[1])) {
            if (admin.isTableEnabled(table)) admin.disableTable(table);
            admin.deleteTable(table);
          }
          admin.deleteNamespace(words[1]);
        } catch (org.apache.hadoop.hbase.NamespaceNotFoundException gone) {
          // as wanted
        }
        return "";
      }
      case "begin": {  // TABLE: rows of two columns of two families that are equal, one put each, without a pause
        writing = true;
        written = 0;
        writer = new Thread(() -> {
          try (Table table = connection.getTable(name)) {
            for (long i = 0; writing; i++) {
              byte[] value = Bytes.toBytes(i);
              table.put(new Put(key(i)).addColumn(Bytes.toBytes("f"), Bytes.toBytes("a"), value)
                  .addColumn(Bytes.toBytes("g"), Bytes.toBytes("b"), value));
              written = i + 1;
            }
          } catch (Exception error) {
            error.printStackTrace();
          }
        });
        writer.start();
        return "";
      }
      case "written": return "" + written;
      case "end": {
        writing = false;
        writer.join();
        return "" + written;
      }
      case "whole": {  // TABLE COUNT: rows 0 to COUNT are there, and every row is whole; how many there are
        long count = Long.parseLong(words[2]);
        long rows = 0;
        try (Table table = connection.getTable(name)) {
          try (ResultScanner scanner = table.getScanner(new Scan().setCaching(500))) {
            for (Result row : scanner) {
              rows++;
              byte[] a = row.getValue(Bytes.toBytes("f"), Bytes.toBytes("a"));
              byte[] b = row.getValue(Bytes.toBytes("g"), Bytes.toBytes("b"));
              if (a == null || b == null || !Bytes.equals(a, b)) throw new Exception("a torn row: " + row);
            }
          }
          for (long i = 0; i < count; i++) {
            if (!table.exists(new org.apache.hadoop.hbase.client.Get(key(i)))) throw new Exception("row " + i + " is missing");
          }
        }
        return "" + rows;
      }
      case "set": {  // TABLE KEY VALUE
        try (Table table = connection.getTable(name)) {
          table.put(new Put(Bytes.toBytes(words[2])).addColumn(Bytes.toBytes("f"), Bytes.toBytes("v"), Bytes.toBytes(words[3])));
        }
        return "";
      }
      case "unset": {  // TABLE KEY
        try (Table table = connection.getTable(name)) {
          table.delete(new Delete(Bytes.toBytes(words[2])));
        }
        return "";
      }
      case "rows": {  // TABLE: KEY=VALUE of each row that "set" made
        StringBuilder all = new StringBuilder();
        try (Table table = connection.getTable(name); ResultScanner scanner = table.getScanner(new Scan().setCaching(500))) {
          for (Result row : scanner) {
            all.append(Bytes.toString(row.getRow())).append('=')
                .append(Bytes.toString(row.getValue(Bytes.toBytes("f"), Bytes.toBytes("v")))).append(' ');
          }
        }
        return all.toString();
      }
      case "copy": {  // TABLE NEW: by a snapshot, as one does by hand
        String snapshot = "copy-" + System.nanoTime();
        admin.snapshot(snapshot, name);
        admin.cloneSnapshot(snapshot, TableName.valueOf(words[2]));
        admin.deleteSnapshot(snapshot);
        return "";
      }
      case "clone": {  // TABLE SNAPSHOT
        makeNamespace(admin, name);
        admin.cloneSnapshot(words[2], name);
        return "";
      }
      default: throw new IllegalArgumentException(words[0]);
    }
  }

  private static void makeNamespace(Admin admin, TableName name) throws Exception {
    try {
      admin.createNamespace(NamespaceDescriptor.create(name.getNamespaceAsString()).build());
    } catch (org.apache.hadoop.hbase.NamespaceExistException there) {
      // as wanted
    }
  }

  /** Of all versions of all cells, in order. */
  private static String digest(Connection connection, TableName name) throws Exception {
    MessageDigest digest = MessageDigest.getInstance("SHA-256");
    long rows = 0;
    try (Table table = connection.getTable(name);
        ResultScanner scanner = table.getScanner(new Scan().readAllVersions().setCaching(500))) {
      for (Result row : scanner) {
        rows++;
        for (Cell cell : row.rawCells()) {
          for (byte[] part : new byte[][] {CellUtil.cloneRow(cell), CellUtil.cloneFamily(cell), CellUtil.cloneQualifier(cell),
              Bytes.toBytes(cell.getTimestamp()), CellUtil.cloneValue(cell)}) {
            digest.update(Bytes.toBytes(part.length));
            digest.update(part);
          }
        }
      }
    }
    return rows + " " + Bytes.toHex(digest.digest());
  }
}
