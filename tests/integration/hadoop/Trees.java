// Reads and fills directories of HDFS by Hadoop's own client, with several threads: Trees hdfs://NAMENODE.
// Nothing of Lockstep is used. Commands, a line each, their words separated by tabs, names and content in base64:
//
//   put NAME CONTENT   a file, and the directories above it            at once with others
//   random NAME BYTES  a file of that many bytes of its own            at once with others
//   mkdir NAME                                                         at once with others
//   wait               the end of all of these; answered with "."
//   read NAME          each entry below, and it itself: its name below NAME in base64, a tab, and what it is as one
//                      text that is equal where all of it is: kind, permission, owner, group, ACL, extended attributes
//                      (but Lockstep's own), and of a file modification time, length, block size, replication, SHA-256
//                      of its content; "."
//
// What fails ends the program, with the reason on its standard error.
import java.io.BufferedOutputStream;
import java.io.BufferedReader;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

public class Trees {
  private static final int THREADS = 8;

  private final FileSystem system;
  private final ExecutorService workers = Executors.newFixedThreadPool(THREADS);
  private long open = 0; // what was begun and has not ended

  private Trees(String namenode) throws Exception {
    system = FileSystem.get(new URI(namenode), new Configuration());
  }

  private interface Work {
    void act() throws Exception;
  }

  private void begin(Work work) {
    add(1);
    workers.execute(() -> {
      try {
        work.act();
      } catch (Throwable failed) {
        failed.printStackTrace();
        System.exit(1);
      }
      add(-1);
    });
  }

  private synchronized void add(long count) {
    open += count;
    notifyAll();
  }

  private synchronized void waitUntilAtMost(long count) throws InterruptedException {
    while (open > count) {
      wait();
    }
  }

  private static String text(String base64) {
    return new String(Base64.getDecoder().decode(base64), StandardCharsets.UTF_8);
  }

  private void put(Path path, byte[] content) throws Exception {
    try (OutputStream out = system.create(path, true)) {
      out.write(content);
    }
  }

  private void random(Path path, long bytes) throws Exception {
    SplittableRandom random = new SplittableRandom(path.hashCode());
    byte[] part = new byte[1 << 16];
    try (OutputStream out = system.create(path, true)) {
      for (long left = bytes; left > 0; left -= part.length) {
        random.nextBytes(part);
        out.write(part, 0, (int) Math.min(left, part.length));
      }
    }
  }

  private String digest(Path path) throws Exception {
    MessageDigest digest = MessageDigest.getInstance("SHA-256");
    byte[] buffer = new byte[1 << 16];
    try (InputStream in = system.open(path)) {
      for (int got = in.read(buffer); got >= 0; got = in.read(buffer)) {
        digest.update(buffer, 0, got);
      }
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  private String shown(FileStatus status) throws Exception {
    List<String> out = new ArrayList<>();
    boolean file = status.isFile();
    out.add(file ? "file" : "directory");
    out.add(Integer.toOctalString(status.getPermission().toShort()));
    out.add(status.getOwner() + ":" + status.getGroup());
    if (file) { // a directory's time changes with what is in it
      out.add(status.getModificationTime() + " " + status.getLen() + " " + status.getBlockSize() + " " + status.getReplication());
    }
    if (status.hasAcl()) {
      out.add(system.getAclStatus(status.getPath()).getEntries().toString());
    }
    for (Map.Entry<String, byte[]> one : new TreeMap<>(system.getXAttrs(status.getPath())).entrySet()) {
      if (!one.getKey().startsWith("user.lockstep.") && !one.getKey().startsWith("trusted.lockstep.")) {
        out.add(one.getKey() + "=" + (one.getValue() == null ? "" : HexFormat.of().formatHex(one.getValue())));
      }
    }
    if (file && status.getLen() > 0) {
      out.add(digest(status.getPath()));
    }
    return String.join(" ", out);
  }

  private void read(FileStatus status, String below, Map<String, String> into) throws Exception {
    into.put(below, shown(status));
    if (status.isDirectory()) {
      for (FileStatus child : system.listStatus(status.getPath())) {
        String name = child.getPath().getName();
        begin(() -> read(child, below.isEmpty() ? name : below + "/" + name, into));
      }
    }
  }

  private void serve(PrintStream answers) throws Exception {
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      String[] words = line.split("\t", -1);
      Path path = words.length > 1 ? new Path(text(words[1])) : null;
      switch (words[0]) {
        case "put" -> {
          waitUntilAtMost(100 * THREADS); // what waits is in memory
          begin(() -> put(path, Base64.getDecoder().decode(words[2])));
        }
        case "random" -> begin(() -> random(path, Long.parseLong(words[2])));
        case "mkdir" -> begin(() -> system.mkdirs(path));
        case "wait" -> waitUntilAtMost(0);
        case "read" -> {
          Map<String, String> found = new ConcurrentHashMap<>();
          begin(() -> read(system.getFileStatus(path), "", found));
          waitUntilAtMost(0);
          found.forEach((name, what) -> answers.println(
              Base64.getEncoder().encodeToString(name.getBytes(StandardCharsets.UTF_8)) + "\t" + what));
        }
        default -> throw new IllegalArgumentException(line);
      }
      if (words[0].equals("wait") || words[0].equals("read")) {
        answers.println(".");
        answers.flush();
      }
    }
    workers.shutdown();
  }

  public static void main(String[] words) throws Exception {
    PrintStream answers = new PrintStream(new BufferedOutputStream(System.out), false, StandardCharsets.UTF_8);
    try {
      new Trees(words[0]).serve(answers);
    } catch (Throwable failed) { // its threads would keep it alive
      failed.printStackTrace();
      System.exit(1);
    }
  }
}
