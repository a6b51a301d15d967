// Bridge: the resident Java program (java/LockstepHBase.java) that has HBase's own classes.
//
// It is started when it is first asked (or ahead of that), against the class path of the settings,
// and started again when it died. Requests go on side by side. It ends with this object, and with
// the agent, however that ends: its standard input ends then.
//
// Thread rule: any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>

#include "common/component/component.hpp"
#include "common/components/hbase/settings.hpp"

namespace lockstep::hbase {

// Why an operation did not happen, by what to do about it.
enum class Trouble {
  lost,         // the program died, or could not be started: it may have happened or not
  late,         // no answer in time: it may happen yet
  stopped,      // the caller was asked to stop
  unreached,    // HBase does not answer
  missing,      // what it is about is not there
  exists,       // something is there already
  denied,       // the user may not
  kerberos,     // the cluster asks for Kerberos
  hostile,      // what arrived is not what it says it is
  unsupported,  // HBase has it in a form that is not carried
  other,
};

struct Failure {
  Trouble trouble = Trouble::other;
  std::string text;
};

template <class T>
using Reply = Expected<T, Failure>;

// The seam's error, of `side` where the failure has no code of its own. "cannot <act>: <text>".
Error to_error(const Failure& failure, ErrorCode side, std::string_view act,
               const std::string& where);

class Bridge {
 public:
  Bridge(const component::Surroundings& surroundings, Settings settings);
  ~Bridge();
  Bridge(const Bridge&) = delete;
  Bridge& operator=(const Bridge&) = delete;

  const Settings& settings() const { return settings_; }

  // Starts the program on a thread of its own, so that the first request does not wait for it.
  void start_ahead();

  // The result that the program gives. What may be done twice is asked again, once, where the
  // program died over it.
  Reply<nlohmann::json> ask(const nlohmann::json& request, Nanos patience,
                            std::stop_token stop = {});

  // HBase's directory in HDFS: "/hbase".
  Reply<std::string> root();

 private:
  struct Child;
  Reply<std::shared_ptr<Child>> running();
  Reply<nlohmann::json> ask_once(const nlohmann::json& request, Nanos patience,
                                 std::stop_token stop);

  component::Surroundings at_;
  Settings settings_;
  std::string log_;
  std::mutex mutex_;
  std::shared_ptr<Child> child_;
  std::string root_;
  std::jthread ahead_;
};

}  // namespace lockstep::hbase
