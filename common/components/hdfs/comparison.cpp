#include "common/components/hdfs/comparison.hpp"

#include <algorithm>
#include <optional>

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

class Comparer {
 public:
  Comparer(WebHdfs& from, const std::string& root, WebHdfs& to, const std::string& brought,
           const std::string& place, Crew& crew)
      : from_(from), root_(root), to_(to), brought_(brought), place_(place), crew_(crew) {}

  std::vector<std::string> batch;
  Comparison found;

  Result<void> compare_batch() {
    std::vector<Outcome> outcomes(batch.size());
    crew_.each(batch.size(), [&](std::size_t i) { outcomes[i] = look_at(batch[i]); });
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (outcomes[i].failure) {
        return to_error(*outcomes[i].failure, ErrorCode::carry_failed, "compare the checksums of",
                        join(root_, batch[i]));
      }
      if (outcomes[i].same) continue;
      bytes_ += batch[i].size() + 1;
      (outcomes[i].missing ? found.missing : found.different).push_back(std::move(batch[i]));
    }
    batch.clear();
    found.too_many = bytes_ > component::kMostExcepted;
    return {};
  }

 private:
  struct Outcome {
    bool same = false;
    bool missing = false;
    std::optional<Failure> failure;
  };

  // On a thread of the crew.
  Outcome look_at(const std::string& path) {
    Outcome out;
    const auto source = from_.checksum(join(root_, path));
    if (!source) {
      if (is_silence(source.error())) out.failure = source.error();
      return out;
    }
    auto there = to_.checksum(join(brought_, path));
    if (!there && there.error().trouble == Trouble::missing) {
      there = to_.checksum(join(place_, path));
    }
    if (!there && is_silence(there.error())) out.failure = there.error();
    out.missing = !there && there.error().trouble == Trouble::missing;
    out.same = there && *there == *source && Sum::like(*source);
    return out;
  }

  WebHdfs& from_;
  const std::string& root_;
  WebHdfs& to_;
  const std::string& brought_;
  const std::string& place_;
  Crew& crew_;
  std::size_t bytes_ = 0;
};

}  // namespace

Result<Comparison> compare_brought(const component::Context& context, const Clock& clock,
                                   WebHdfs& from, const std::string& root, WebHdfs& to,
                                   const std::string& brought, const std::string& place,
                                   Crew& crew) {
  Comparer comparer(from, root, to, brought, place, crew);
  std::vector<std::string> directories{{}};
  while (!directories.empty() && !comparer.found.too_many) {
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
          comparer.batch.push_back(std::move(path));
        }
        after = std::move(status.name);
      }
      if (comparer.batch.size() < kBatch) continue;
      LOCKSTEP_CHECK(comparer.compare_batch());
      LOCKSTEP_CHECK(may_go_on(context, clock));
      if (comparer.found.too_many) return std::move(comparer.found);
    }
  }
  LOCKSTEP_CHECK(comparer.compare_batch());
  return std::move(comparer.found);
}

}  // namespace lockstep::hdfs
