// A writer that keeps a file open: OpenWriter hdfs://NAMENODE PATH; for each line on its input it writes that
// line and has the NameNode know of it (hsync with UPDATE_LENGTH), and says "written".
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.EnumSet;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.hdfs.client.HdfsDataOutputStream;
import org.apache.hadoop.hdfs.client.HdfsDataOutputStream.SyncFlag;

public class OpenWriter {
  public static void main(String[] words) throws Exception {
    FileSystem system = FileSystem.get(new URI(words[0]), new Configuration());
    HdfsDataOutputStream out = (HdfsDataOutputStream) system.create(new Path(words[1]));
    System.out.println("open");
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      out.write(line.getBytes(StandardCharsets.UTF_8));
      out.hsync(EnumSet.of(SyncFlag.UPDATE_LENGTH));
      System.out.println("written");
    }
    out.close();
  }
}
