// What only HBase's own classes can do, for the component hbase: one resident program an agent.
//
// It is run from this source by `java -cp CLASSPATH LockstepHBase.java`, against the classes of the
// cluster it serves: nothing is compiled for one version of HBase and met by another.
//
// Requests and answers are JSON objects, one a line, on standard input and output. A request is
// {"id": n, "op": "...", ...}, its answer {"id": n, "result": ...} or
// {"id": n, "error": {"kind": "...", "class": "...", "message": "..."}}; answers come in the order
// in which they are ready. It ends with its standard input. Requests are answered by several threads.
import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Pattern;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileChecksum;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.FileUtil;
import org.apache.hadoop.fs.LocatedFileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RemoteIterator;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.hbase.HBaseConfiguration;
import org.apache.hadoop.hbase.HConstants;
import org.apache.hadoop.hbase.NamespaceDescriptor;
import org.apache.hadoop.hbase.NamespaceExistException;
import org.apache.hadoop.hbase.TableExistsException;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.TableNotEnabledException;
import org.apache.hadoop.hbase.TableNotFoundException;
import org.apache.hadoop.hbase.client.Admin;
import org.apache.hadoop.hbase.client.Connection;
import org.apache.hadoop.hbase.client.ConnectionFactory;
import org.apache.hadoop.hbase.client.RegionInfo;
import org.apache.hadoop.hbase.client.SnapshotDescription;
import org.apache.hadoop.hbase.client.SnapshotType;
import org.apache.hadoop.hbase.io.HFileLink;
import org.apache.hadoop.hbase.regionserver.StoreFileInfo;
import org.apache.hadoop.hbase.security.AccessDeniedException;
import org.apache.hadoop.hbase.shaded.protobuf.generated.SnapshotProtos;
import org.apache.hadoop.hbase.snapshot.SnapshotDescriptionUtils;
import org.apache.hadoop.hbase.snapshot.SnapshotDoesNotExistException;
import org.apache.hadoop.hbase.snapshot.SnapshotExistsException;
import org.apache.hadoop.hbase.snapshot.SnapshotManifest;
import org.apache.hadoop.hbase.snapshot.SnapshotReferenceUtil;
import org.apache.hadoop.hbase.util.Bytes;
import org.apache.hadoop.hbase.util.CommonFSUtils;
import org.apache.hadoop.hbase.util.Pair;
import org.apache.hadoop.hdfs.protocol.HdfsFileStatus;
import org.apache.hbase.thirdparty.com.google.gson.JsonArray;
import org.apache.hbase.thirdparty.com.google.gson.JsonElement;
import org.apache.hbase.thirdparty.com.google.gson.JsonObject;
import org.apache.hbase.thirdparty.com.google.gson.JsonParser;

public class LockstepHBase {
  private static final FsPermission READ_ONLY = new FsPermission((short) 0444);

  private final Configuration conf;
  private final Path root;
  private final FileSystem fs;
  private final PrintStream out;
  private final ExecutorService pool = Executors.newCachedThreadPool();
  private Connection connection;

  /** A refusal of our own, with the kind that the answer is to have. */
  private static class Refused extends IOException {
    final String kind;

    Refused(String kind, String message) {
      super(message);
      this.kind = kind;
    }
  }

  private interface Work<T> {
    T run() throws Exception;
  }

  public static void main(String[] words) throws Exception {
    // Answers alone go to standard output, whatever a library prints.
    PrintStream answers = new PrintStream(new FileOutputStream(FileDescriptor.out), false, "UTF-8");
    System.setOut(System.err);
    new LockstepHBase(answers).serve();
    System.exit(0);
  }

  private LockstepHBase(PrintStream answers) throws IOException {
    out = answers;
    conf = HBaseConfiguration.create();
    // The client looks for the end of an operation ever less often: its waits are cut short here
    // and begun anew, or the acknowledgement would tell of the waiting and not of the snapshot.
    conf.setInt("hbase.client.pause", 1);
    conf.setInt(HConstants.HBASE_CLIENT_RETRIES_NUMBER, 8);
    root = CommonFSUtils.getRootDir(conf);
    fs = root.getFileSystem(conf);
  }

  private void serve() throws Exception {
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line; (line = in.readLine()) != null; ) {
      JsonObject request = JsonParser.parseString(line).getAsJsonObject();
      pool.execute(() -> answer(request));
    }
  }

  private void answer(JsonObject request) {
    JsonObject reply = new JsonObject();
    reply.add("id", request.get("id"));
    try {
      reply.add("result", perform(request));
    } catch (Throwable thrown) {
      reply.add("error", describe(thrown));
    }
    synchronized (out) {
      out.println(reply);
      out.flush();
    }
  }

  private static JsonObject describe(Throwable thrown) {
    Throwable cause = thrown;
    while (cause instanceof java.util.concurrent.ExecutionException && cause.getCause() != null) {
      cause = cause.getCause();
    }
    String kind = "other";
    if (cause instanceof Refused) {
      kind = ((Refused) cause).kind;
    } else if (cause instanceof SnapshotDoesNotExistException || cause instanceof TableNotFoundException
        || cause instanceof java.io.FileNotFoundException) {
      kind = "missing";
    } else if (cause instanceof SnapshotExistsException || cause instanceof TableExistsException) {
      kind = "exists";
    } else if (cause instanceof AccessDeniedException
        || cause instanceof org.apache.hadoop.security.AccessControlException) {
      kind = "denied";
    } else if (cause instanceof TimeoutException) {
      kind = "late";
    } else if (cause instanceof java.net.ConnectException
        || cause instanceof org.apache.hadoop.hbase.client.RetriesExhaustedException
        || cause instanceof org.apache.hadoop.hbase.MasterNotRunningException) {
      kind = "unreached";
    }
    JsonObject error = new JsonObject();
    error.addProperty("kind", kind);
    error.addProperty("class", cause.getClass().getName());
    String message = String.valueOf(cause.getMessage());
    int end = message.indexOf('\n');
    error.addProperty("message", end < 0 ? message : message.substring(0, end));
    if (kind.equals("other")) thrown.printStackTrace();
    return error;
  }

  private JsonElement perform(JsonObject request) throws Exception {
    switch (request.get("op").getAsString()) {
      case "about": return about();
      case "tables": return tables(request);
      case "flush": return flush(request);
      case "list": return list(request);
      case "snapshot": return snapshot(request);
      case "delete": return delete(request);
      case "files": return files(request);
      case "publish": return publish(request);
      case "verify": return verify(request);
      case "clone": return cloneTable(request);
      case "restore": return restore(request);
      default: throw new Refused("other", "no operation is named " + request.get("op"));
    }
  }

  private synchronized Admin admin() throws IOException {
    if ("kerberos".equalsIgnoreCase(conf.get("hbase.security.authentication"))) {
      throw new Refused("kerberos", "the cluster asks for Kerberos");
    }
    if (connection == null || connection.isClosed()) connection = ConnectionFactory.createConnection(conf);
    return connection.getAdmin();
  }

  private <T> List<T> together(List<Work<T>> works) throws Exception {
    List<Future<T>> futures = new ArrayList<>();
    for (Work<T> work : works) futures.add(pool.submit(work::run));
    List<T> results = new ArrayList<>();
    for (Future<T> future : futures) results.add(future.get());
    return results;
  }

  private static JsonObject ok() {
    return new JsonObject();
  }

  private JsonElement about() throws IOException {
    try (Admin admin = admin()) {
      JsonObject reply = new JsonObject();
      reply.addProperty("root", root.toUri().getPath());
      reply.addProperty("cluster", admin.getClusterMetrics().getClusterId());
      reply.addProperty("version", admin.getClusterMetrics().getHBaseVersion());
      reply.addProperty("servers", admin.getClusterMetrics().getServersName().size());
      reply.addProperty("dead", admin.getClusterMetrics().getDeadServerNames().size());
      return reply;
    }
  }

  private static JsonObject table(Admin admin, TableName name) throws IOException {
    JsonObject one = new JsonObject();
    one.addProperty("namespace", name.getNamespaceAsString());
    one.addProperty("table", name.getQualifierAsString());
    one.addProperty("enabled", admin.isTableEnabled(name));
    one.addProperty("regions", admin.getRegions(name).size());
    one.addProperty("families", admin.getDescriptor(name).getColumnFamilyCount());
    return one;
  }

  /** {"pattern": a regular expression over "namespace:table"} */
  private JsonElement tables(JsonObject request) throws IOException {
    Pattern pattern = Pattern.compile(request.get("pattern").getAsString());
    JsonArray found = new JsonArray();
    try (Admin admin = admin()) {
      for (TableName name : admin.listTableNames()) {
        String whole = name.getNamespaceAsString() + ":" + name.getQualifierAsString();
        if (pattern.matcher(whole).matches()) found.add(table(admin, name));
      }
    }
    return found;
  }

  private static TableName tableOf(JsonObject one) {
    return TableName.valueOf(one.get("namespace").getAsString(), one.get("table").getAsString());
  }

  private static void await(Future<?> future, long until) throws Exception {
    for (;;) {
      try {
        future.get(5, TimeUnit.MILLISECONDS);
        return;
      } catch (TimeoutException early) {
        if (System.nanoTime() >= until) throw new TimeoutException("HBase did not end it in time");
      }
    }
  }

  /** {"tables": [...]}: what is in memory goes to disk now, and not under a fence. */
  private JsonElement flush(JsonObject request) throws Exception {
    List<Work<Object>> works = new ArrayList<>();
    for (JsonElement one : request.getAsJsonArray("tables")) {
      TableName name = tableOf(one.getAsJsonObject());
      works.add(() -> {
        try (Admin admin = admin()) {
          if (admin.isTableEnabled(name)) admin.flush(name);
        }
        return null;
      });
    }
    together(works);
    return ok();
  }

  /** {"snapshots": [{name, namespace, table}], "flush": bool, "patience_ms": n}: all or an error. */
  private JsonElement snapshot(JsonObject request) throws Exception {
    SnapshotType type = request.get("flush").getAsBoolean() ? SnapshotType.FLUSH : SnapshotType.SKIPFLUSH;
    long until = System.nanoTime() + request.get("patience_ms").getAsLong() * 1_000_000;
    List<Work<Object>> works = new ArrayList<>();
    for (JsonElement element : request.getAsJsonArray("snapshots")) {
      JsonObject one = element.getAsJsonObject();
      works.add(() -> {
        try (Admin admin = admin()) {
          TableName name = tableOf(one);
          SnapshotType fitting = admin.isTableEnabled(name) ? type : SnapshotType.DISABLED;
          // TTL 0: it lives until it is deleted, whatever hbase.master.snapshot.ttl says.
          await(admin.snapshotAsync(new SnapshotDescription(one.get("name").getAsString(), name, fitting,
              null, -1, -1, Map.of("TTL", 0L))), until);
        }
        return null;
      });
    }
    together(works);
    return ok();
  }

  private static JsonObject show(SnapshotDescription snapshot) {
    JsonObject one = new JsonObject();
    one.addProperty("name", snapshot.getName());
    one.addProperty("namespace", snapshot.getTableName().getNamespaceAsString());
    one.addProperty("table", snapshot.getTableName().getQualifierAsString());
    one.addProperty("created_ms", snapshot.getCreationTime());
    one.addProperty("ttl_s", snapshot.getTtl());
    return one;
  }

  /** {"prefix": of their names} */
  private JsonElement list(JsonObject request) throws IOException {
    String prefix = request.get("prefix").getAsString();
    JsonArray found = new JsonArray();
    try (Admin admin = admin()) {
      for (SnapshotDescription one : admin.listSnapshots()) {
        if (one.getName().startsWith(prefix)) found.add(show(one));
      }
    }
    return found;
  }

  /** {"names": [...]}: of those that are gone: success. */
  private JsonElement delete(JsonObject request) throws Exception {
    try (Admin admin = admin()) {
      for (JsonElement name : request.getAsJsonArray("names")) {
        try {
          admin.deleteSnapshot(name.getAsString());
        } catch (SnapshotDoesNotExistException gone) {
          // that is what was wanted
        }
      }
    }
    return ok();
  }

  private Path snapshotDirectory(String name) {
    return SnapshotDescriptionUtils.getCompletedSnapshotDir(name, root);
  }

  /**
   * {"name": ..., "root": "hdfs://nn:8020/hbase" of another HBase, left out: this one's}: what a snapshot is made
   * of: its description, in which the name is left out; the files of its manifest; its HFiles, each once, with the
   * places at which it may lie.
   */
  private JsonElement files(JsonObject request) throws IOException {
    if (!request.has("root")) return files(request, conf, root, fs);
    Path there = new Path(request.get("root").getAsString());
    Configuration other = new Configuration(conf);
    CommonFSUtils.setRootDir(other, there);
    return files(request, other, there, there.getFileSystem(other));
  }

  private static JsonElement files(JsonObject request, Configuration conf, Path root, FileSystem fs) throws IOException {
    Path directory = SnapshotDescriptionUtils.getCompletedSnapshotDir(request.get("name").getAsString(), root);
    if (!fs.exists(directory)) throw new Refused("missing", "there is no such snapshot: " + directory);
    SnapshotProtos.SnapshotDescription description = SnapshotDescriptionUtils.readSnapshotInfo(fs, directory);
    JsonObject reply = new JsonObject();
    reply.addProperty("info", Bytes.toHex(description.toBuilder().setName("").build().toByteArray()));
    JsonArray manifest = new JsonArray();
    for (FileStatus status : fs.listStatus(directory)) {
      String name = status.getPath().getName();
      if (name.startsWith(".")) continue;
      if (status.isDirectory()) throw new Refused("unsupported", "the snapshot has the layout of HBase 0.98: " + directory);
      JsonObject one = new JsonObject();
      one.addProperty("name", name);
      one.addProperty("path", status.getPath().toUri().getPath());
      one.addProperty("size", status.getLen());
      manifest.add(one);
    }
    reply.add("manifest", manifest);
    JsonArray hfiles = new JsonArray();
    Set<String> seen = new HashSet<>();
    TableName table = TableName.valueOf(description.getTable());
    SnapshotReferenceUtil.visitReferencedFiles(conf, fs, directory, description,
        (RegionInfo region, String family, SnapshotProtos.SnapshotRegionManifest.StoreFile file) -> {
          JsonObject one = hfile(conf, fs, table, region.getEncodedName(), family, file.getName(), file.hasReference());
          if (seen.add(one.get("place").getAsString())) hfiles.add(one);
        });
    reply.add("hfiles", hfiles);
    return reply;
  }

  /** As ExportSnapshot finds them: what a reference or a link stands for is what is carried. */
  private static JsonObject hfile(Configuration conf, FileSystem fs, TableName table, String region, String family,
      String name, boolean reference) throws IOException {
    if (reference) {
      Pair<String, String> referred = StoreFileInfo.getReferredToRegionAndFile(name);
      region = referred.getFirst();
      name = referred.getSecond();
    }
    Path pattern = HFileLink.createPath(table, region, family, name);
    String linked = pattern.getName();
    Path place = new Path(CommonFSUtils.getTableDir(new Path("/"), HFileLink.getReferencedTableName(linked)),
        new Path(HFileLink.getReferencedRegionName(linked), new Path(family, HFileLink.getReferencedHFileName(linked))));
    HFileLink link = HFileLink.buildFromHFileLinkPattern(conf, pattern);
    FileStatus status = link.getFileStatus(fs);
    JsonObject one = new JsonObject();
    one.addProperty("place", place.toUri().getPath().substring(1));  // "data/<namespace>/<table>/<region>/..."
    one.addProperty("size", status.getLen());
    one.addProperty("block_size", status.getBlockSize());
    one.addProperty("inode", status instanceof HdfsFileStatus ? ((HdfsFileStatus) status).getFileId() : 0);
    JsonArray paths = new JsonArray();
    paths.add(status.getPath().toUri().getPath());
    for (Path other : link.getLocations()) {
      if (!other.equals(status.getPath())) paths.add(other.toUri().getPath());
    }
    one.add("paths", paths);
    return one;
  }

  /**
   * {"staging": a directory, "snapshots": [{name, info, manifest: directory in the staging}]}: makes
   * snapshots of what lies there. Manifests come first, where the cleaner of HFiles sees them, then the HFiles;
   * each snapshot appears by one rename, and is looked at afterwards. May be done again.
   */
  private JsonElement publish(JsonObject request) throws IOException {
    Path staging = new Path(request.get("staging").getAsString());
    List<Path> working = new ArrayList<>();
    List<Path> complete = new ArrayList<>();
    for (JsonElement element : request.getAsJsonArray("snapshots")) {
      JsonObject one = element.getAsJsonObject();
      String name = one.get("name").getAsString();
      Path ready = snapshotDirectory(name);
      if (fs.exists(ready)) continue;  // by an attempt that died
      Path made = SnapshotDescriptionUtils.getWorkingSnapshotDir(name, root, conf);
      fs.delete(made, true);
      fs.mkdirs(made);
      SnapshotProtos.SnapshotDescription description = SnapshotProtos.SnapshotDescription
          .parseFrom(Bytes.fromHex(one.get("info").getAsString())).toBuilder().setName(name).build();
      if (!TableName.valueOf(description.getTable()).equals(tableOf(one))) {
        throw new Refused("hostile", "the description is that of " + description.getTable());
      }
      for (FileStatus part : fs.listStatus(new Path(staging, one.get("manifest").getAsString()))) {
        if (part.getPath().getName().equals("info")) continue;
        if (!FileUtil.copy(fs, part.getPath(), fs, new Path(made, part.getPath().getName()), false, conf)) {
          throw new IOException("cannot copy " + part.getPath());
        }
      }
      SnapshotDescriptionUtils.writeSnapshotInfo(description, made, fs);
      working.add(made);
      complete.add(ready);
    }
    move(new Path(staging, "data"), new Path(root, HConstants.HFILE_ARCHIVE_DIRECTORY + "/data"));
    for (int i = 0; i < working.size(); ++i) {
      if (!fs.rename(working.get(i), complete.get(i))) {
        throw new IOException("cannot rename " + working.get(i) + " to " + complete.get(i));
      }
    }
    return ok();
  }

  /**
   * Each file below `from` to the same place below `to`. One that is there already is the same, for HFiles never
   * change, but where an export was broken off: what is not the same gives way if nothing needs it.
   */
  private void move(Path from, Path to) throws IOException {
    if (!fs.exists(from)) return;
    String prefix = from.toUri().getPath() + "/";
    Set<String> needed = null;
    for (RemoteIterator<LocatedFileStatus> all = fs.listFiles(from, true); all.hasNext(); ) {
      LocatedFileStatus one = all.next();
      Path place = new Path(to, one.getPath().toUri().getPath().substring(prefix.length()));
      if (!one.getPermission().equals(READ_ONLY)) {
        // The cleaner removes by age what no snapshot names: its age begins now.
        fs.setTimes(one.getPath(), System.currentTimeMillis(), -1);
        // An export that was told to bring it again must not write it anew under those who read it.
        fs.setPermission(one.getPath(), READ_ONLY);
      }
      if (fs.exists(place)) {
        boolean asLong = fs.getFileStatus(place).getLen() == one.getLen();
        FileChecksum came = asLong ? fs.getFileChecksum(one.getPath()) : null;
        FileChecksum there = asLong ? fs.getFileChecksum(place) : null;
        if (came != null && came.equals(there)) continue;
        if (needed == null) needed = neededHFiles();
        boolean linked = fs.exists(HFileLink.getBackReferencesDir(place.getParent(), place.getName()));
        if (linked || needed.contains(place.getName())) {
          // Of blocks of other sizes checksums tell nothing: it was checked when it came.
          boolean comparable = came != null && there != null && came.getAlgorithmName().equals(there.getAlgorithmName());
          if (asLong && !comparable) continue;
          throw new IOException("another file is there, or one that is damaged: " + place);
        }
        fs.delete(place, false);
      }
      fs.mkdirs(place.getParent());
      if (!fs.rename(one.getPath(), place)) throw new IOException("cannot rename " + one.getPath() + " to " + place);
    }
  }

  /** The names of all HFiles that a snapshot names, but for those which ExportSnapshot brought to us. */
  private Set<String> neededHFiles() throws IOException {
    Set<String> names = new HashSet<>();
    Path directory = SnapshotDescriptionUtils.getSnapshotsDir(root);
    for (FileStatus one : fs.listStatus(directory)) {
      String name = one.getPath().getName();
      if (name.startsWith(".") || name.startsWith("lockstep-carried.")) continue;
      try {
        names.addAll(SnapshotReferenceUtil.getHFileNames(conf, fs, one.getPath()));
      } catch (java.io.FileNotFoundException gone) {
        // it was deleted meanwhile
      }
    }
    return names;
  }

  /** {"name": ...}: every file that the snapshot names is there with its size, and the master lists it. */
  private JsonElement verify(JsonObject request) throws IOException {
    String name = request.get("name").getAsString();
    Path directory = snapshotDirectory(name);
    if (!fs.exists(directory)) throw new Refused("missing", "there is no such snapshot: " + directory);
    SnapshotProtos.SnapshotDescription description = SnapshotDescriptionUtils.readSnapshotInfo(fs, directory);
    SnapshotReferenceUtil.verifySnapshot(conf, fs, SnapshotManifest.open(conf, fs, directory, description));
    try (Admin admin = admin()) {
      for (SnapshotDescription one : admin.listSnapshots()) {
        if (one.getName().equals(name)) return show(one);
      }
    }
    throw new Refused("missing", "the master does not know the snapshot " + name);
  }

  private static void needNamespace(Admin admin, TableName name) throws IOException {
    try {
      admin.createNamespace(NamespaceDescriptor.create(name.getNamespaceAsString()).build());
    } catch (NamespaceExistException there) {
      // that is what was wanted
    }
  }

  private static boolean isThere(Admin admin, TableName name) throws IOException {
    return admin.tableExists(name);
  }

  /** {"name": snapshot, "namespace", "table"}: a new table. */
  private JsonElement cloneTable(JsonObject request) throws IOException {
    TableName name = tableOf(request);
    try (Admin admin = admin()) {
      if (isThere(admin, name)) throw new Refused("exists", "the table " + name + " is there already");
      needNamespace(admin, name);
      admin.cloneSnapshot(request.get("name").getAsString(), name);
      return table(admin, name);
    }
  }

  /** {"name": snapshot, "namespace", "table": its own, "before": snapshot to make of what is there first}. */
  private JsonElement restore(JsonObject request) throws IOException {
    TableName name = tableOf(request);
    String before = request.get("before").getAsString();
    try (Admin admin = admin()) {
      if (!isThere(admin, name)) {
        needNamespace(admin, name);
        admin.cloneSnapshot(request.get("name").getAsString(), name);
        return table(admin, name);
      }
      try {
        admin.snapshot(new SnapshotDescription(before, name,
            admin.isTableEnabled(name) ? SnapshotType.FLUSH : SnapshotType.DISABLED, null, -1, -1, Map.of("TTL", 0L)));
      } catch (SnapshotExistsException made) {
        // by this very restoring, before it was broken off
      }
      try {
        admin.disableTable(name);
      } catch (TableNotEnabledException disabled) {
        // that is what was wanted
      }
      admin.restoreSnapshot(request.get("name").getAsString(), false);
      admin.enableTable(name);
      JsonObject reply = table(admin, name);
      reply.addProperty("before", before);
      return reply;
    }
  }
}
