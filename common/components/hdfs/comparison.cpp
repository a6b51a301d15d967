#include "common/components/hdfs/comparison.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/component/carries.hpp"
#include "common/components/hdfs/jobs.hpp"
#include "common/components/hdfs/sums.hpp"

namespace lockstep::hdfs {

namespace {

constexpr std::size_t kBatch = 512;  // files whose checksums are asked for together

// Nobody answers: that tells nothing of the file.
bool is_silence(const Failure& failure) {
  return failure.trouble == Trouble::unreached || failure.trouble == Trouble::untrusted ||
         failure.trouble == Trouble::kerberos || failure.trouble == Trouble::denied;
}

struct Outcome {
  bool same = false;
  bool missing = false;
  std::optional<Failure> failure;
};

// On a thread of the crew.
Outcome look_at(const Twin& twin, WebHdfs& from, WebHdfs& to) {
  Outcome out;
  const auto source = checksum_at(from, twin.from);
  if (!source) {
    if (is_silence(source.error())) out.failure = source.error();
    return out;
  }
  const auto there = checksum_at(to, twin.to);
  if (!there && is_silence(there.error())) out.failure = there.error();
  out.missing = !there && there.error().trouble == Trouble::missing;
  out.same = there && *there == *source && Sum::like(*source);
  return out;
}

}  // namespace

Reply<std::string> checksum_at(WebHdfs& hdfs, const std::vector<std::string>& paths) {
  for (std::size_t i = 0;; ++i) {
    auto sum = hdfs.checksum(paths[i]);
    const bool elsewhere = !sum && sum.error().trouble == Trouble::missing;
    if (!elsewhere || i + 1 == paths.size()) return sum;
  }
}

Result<void> compare_twins(std::vector<Twin> twins, WebHdfs& from, WebHdfs& to, Crew& crew,
                           Comparison& found) {
  std::vector<Outcome> outcomes(twins.size());
  crew.each(twins.size(), [&](std::size_t i) { outcomes[i] = look_at(twins[i], from, to); });
  for (std::size_t i = 0; i < twins.size(); ++i) {
    if (outcomes[i].failure) {
      return to_error(*outcomes[i].failure, ErrorCode::carry_failed, "compare the checksums of",
                      twins[i].from.front());
    }
    if (outcomes[i].same) continue;
    found.told += twins[i].name.size() + 1;
    (outcomes[i].missing ? found.missing : found.different).push_back(std::move(twins[i].name));
  }
  found.too_many = found.told > component::kMostExcepted;
  return {};
}

Result<Comparison> compare_brought(const component::Context& context, const Clock& clock,
                                   WebHdfs& from, const std::string& root, WebHdfs& to,
                                   const std::string& brought, const std::string& place,
                                   Crew& crew) {
  Comparison found;
  std::vector<Twin> batch;
  const auto compare_batch = [&] {
    return compare_twins(std::exchange(batch, {}), from, to, crew, found);
  };
  std::vector<std::string> directories{{}};
  while (!directories.empty() && !found.too_many) {
    const std::string directory = std::move(directories.back());
    directories.pop_back();
    std::string after;
    for (bool more = true; more;) {
      auto page = from.list(join(root, directory), after);
      if (!page) {
        return to_error(page.error(), ErrorCode::source_read, "list", join(root, directory));
      }
      more = page->more && !page->statuses.empty();
      for (Status& status : page->statuses) {
        std::string path = directory.empty() ? status.name : directory + "/" + status.name;
        if (status.kind == Status::Kind::directory) {
          directories.push_back(std::move(path));
        } else if (status.length > 0) {
          batch.push_back({path, {join(root, path)}, {join(brought, path), join(place, path)}});
        }
        after = std::move(status.name);
      }
      if (batch.size() < kBatch) continue;
      LOCKSTEP_CHECK(compare_batch());
      LOCKSTEP_CHECK(may_go_on(context, clock));
      if (found.too_many) return found;
    }
  }
  LOCKSTEP_CHECK(compare_batch());
  return found;
}

}  // namespace lockstep::hdfs
