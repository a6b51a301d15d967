// lockstep-transfer-agent: moves pinned content between clusters, keeps and gives back points.
#include "services/transfer-agent/book.hpp"
#include "services/transfer-agent/service.hpp"

int main(int argc, char** argv) {
  return lockstep::service::run(argc, argv, lockstep::transport::Role::transfer_agent,
                                lockstep::transfer::migrations(), lockstep::transfer::set_up);
}
