// Writes the golden vectors: make-vectors schemas/vectors. Run it after a schema changed on
// purpose, and look at the difference: a vector that changed is a protocol that changed.
#include <filesystem>
#include <iostream>

#include "tests/protocol/vectors.hpp"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: make-vectors FOLDER\n";
    return 2;
  }
  const std::string folder = argv[1];
  try {
    std::filesystem::create_directories(folder + "/events");
    for (const auto& [name, bytes] :
         lockstep::protocol::make_vectors(lockstep::protocol::read_samples(folder))) {
      std::ofstream file(folder + "/" + name, std::ios::binary | std::ios::trunc);
      file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
      if (!file.flush()) throw std::runtime_error("cannot write " + name);
    }
  } catch (const std::exception& problem) {
    std::cerr << problem.what() << "\n";
    return 1;
  }
}
