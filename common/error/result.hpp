// Result<T>: a value, or the error that stands in its place.
//
// The vocabulary of C++23's std::expected (P0323), as far as this project uses it; g++ 12 has none.
// Reading `value()` of an error, or `error()` of a value, is a programming mistake and ends the
// process (std::abort) instead of carrying on with garbage.
#pragma once

#include <cstdlib>
#include <type_traits>
#include <utility>
#include <variant>

namespace lockstep {

template <class E>
class Unexpected {
 public:
  explicit Unexpected(E error) : error_(std::move(error)) {}
  E& error() & { return error_; }
  E&& error() && { return std::move(error_); }

 private:
  E error_;
};

template <class T, class E>
class [[nodiscard]] Expected {
 public:
  using value_type = T;
  using error_type = E;

  // Implicit on purpose: `return value;` and `return some_error;` both read as they are meant.
  template <class U = T>
  requires(std::is_constructible_v<T, U> && !std::is_same_v<std::remove_cvref_t<U>, Expected> &&
           !std::is_same_v<std::remove_cvref_t<U>, E> &&
           !std::is_same_v<std::remove_cvref_t<U>, Unexpected<E>>) Expected(U&& value)
      : state_(std::in_place_index<0>, std::forward<U>(value)) {}
  Expected(Unexpected<E> error) : state_(std::in_place_index<1>, std::move(error).error()) {}
  Expected(E error) requires(!std::is_same_v<T, E> && !std::is_arithmetic_v<E>)
      : state_(std::in_place_index<1>, std::move(error)) {}

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  T& value() & { return checked<0>(state_); }
  const T& value() const& { return checked<0>(state_); }
  T&& value() && { return std::move(checked<0>(state_)); }
  E& error() & { return checked<1>(state_); }
  const E& error() const& { return checked<1>(state_); }
  E&& error() && { return std::move(checked<1>(state_)); }

  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  template <class U>
  T value_or(U&& other) const& {
    return has_value() ? value() : static_cast<T>(std::forward<U>(other));
  }

 private:
  template <std::size_t I, class S>
  static auto& checked(S& state) {
    auto* found = std::get_if<I>(&state);
    if (found == nullptr) std::abort();
    return *found;
  }

  std::variant<T, E> state_;
};

template <class E>
class [[nodiscard]] Expected<void, E> {
 public:
  using value_type = void;
  using error_type = E;

  Expected() = default;
  Expected(Unexpected<E> error) : state_(std::in_place_index<1>, std::move(error).error()) {}
  Expected(E error) requires(!std::is_arithmetic_v<E>)
      : state_(std::in_place_index<1>, std::move(error)) {}

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }
  void value() const {
    if (!has_value()) std::abort();
  }
  E& error() & { return *checked(std::get_if<1>(&state_)); }
  const E& error() const& { return *checked(std::get_if<1>(&state_)); }
  E&& error() && { return std::move(*checked(std::get_if<1>(&state_))); }

 private:
  template <class P>
  static P* checked(P* found) {
    if (found == nullptr) std::abort();
    return found;
  }

  std::variant<std::monostate, E> state_;
};

}  // namespace lockstep

#define LOCKSTEP_JOIN_(a, b) a##b
#define LOCKSTEP_JOIN(a, b) LOCKSTEP_JOIN_(a, b)

// LOCKSTEP_TRY(auto x, expression): x is the value, or the enclosing function returns the error.
#define LOCKSTEP_TRY(declaration, ...) \
  LOCKSTEP_TRY_(LOCKSTEP_JOIN(lockstep_try_, __LINE__), declaration, __VA_ARGS__)
#define LOCKSTEP_TRY_(temporary, declaration, ...)                             \
  auto temporary = (__VA_ARGS__);                                              \
  if (!temporary) return ::lockstep::Unexpected{std::move(temporary).error()}; \
  declaration = std::move(temporary).value()

// LOCKSTEP_CHECK(expression): for a Result<void>, or a value that is not needed.
#define LOCKSTEP_CHECK(...) LOCKSTEP_CHECK_(LOCKSTEP_JOIN(lockstep_check_, __LINE__), __VA_ARGS__)
#define LOCKSTEP_CHECK_(temporary, ...)                                          \
  do {                                                                           \
    auto temporary = (__VA_ARGS__);                                              \
    if (!temporary) return ::lockstep::Unexpected{std::move(temporary).error()}; \
  } while (false)
