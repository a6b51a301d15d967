#include "common/component/component.hpp"

namespace lockstep::component {

void Components::add(std::unique_ptr<Component> component) {
  components_.push_back(std::move(component));
}

Component* Components::find(const std::string& kind) const {
  for (const auto& component : components_) {
    if (component->kind() == kind) return component.get();
  }
  return nullptr;
}

std::vector<std::string> Components::kinds() const {
  std::vector<std::string> out;
  for (const auto& component : components_) out.push_back(component->kind());
  return out;
}

}  // namespace lockstep::component
